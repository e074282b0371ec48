/**
 * Slots for levels: a prompt of learned vectors stands behind the first token, and the state at one of its places scores the labels of one level
 * (Ji et al., HierVerb, 2023; Kong et al., LH-Mix, 2025). Without a prompt, a matrix for each level makes its slot of the mean of the tokens. Label vectors live in the encoder's space, so that they can start from label names.
 */
import {
  blockedLinear,
  concat,
  l2Normalize,
  linear,
  mul,
  multiplyDims,
  reshape,
  slice,
  type Tensor,
} from '../../graph/index.ts'
import { activate, denseSpecs, type Modules, meanOverTokens, normSpecs } from '../blocks.ts'
import type { ParameterSpec } from '../encoder.ts'
import type { SlotConfigOf } from './slot-config.ts'
import type { SlotHead } from './slot-head.ts'

const dense = 'slots.transform.dense'
const norm = 'slots.transform.LayerNorm'
export const labelVectors = 'slots.output.weight'
const bias = 'slots.output.bias'
/** Without a prompt: the matrices of the levels, one below the other. */
export const levelMatrices = 'slots.levels.weight'

/** Logit of a label: the product of its vector with the state at its level's place, plus a bias; or their cosine times `cosine`. */
export function levelSlots({ prefix, places, ends, transform, cosine }: SlotConfigOf<'levels'>): SlotHead {
  const levels = ends.length
  return {
    prefix,
    specs({ hiddenSize }, units) {
      const classifier = (specs: ParameterSpec[]) => specs.map((spec) => ({ ...spec, part: 'classifier' as const }))
      return [
        ...(transform
          ? classifier([...denseSpecs(dense, hiddenSize, hiddenSize), ...normSpecs(norm, hiddenSize)])
          : []),
        ...(prefix === 0
          ? [
              {
                name: levelMatrices,
                shape: [levels * hiddenSize, hiddenSize],
                initial: 'normal',
                part: 'classifier',
                lookup: false,
              } as const,
            ]
          : []),
        { name: labelVectors, shape: [units, hiddenSize], initial: 'normal', part: 'classifier', lookup: false },
        ...(cosine === undefined
          ? [{ name: bias, shape: [units], initial: 'zeros', part: 'classifier', lookup: false } as const]
          : []),
      ]
    },
    build(m, { hidden, mask }) {
      const { hiddenSize, classifierDropout } = m.config
      const read = (): Tensor => {
        const shape = ['B', levels, hiddenSize] as const
        if (prefix === 0) return reshape(linear(meanOverTokens(hidden, mask), m.parameters.get(levelMatrices)!), shape)
        const states = places.map((place) => slice(hidden, 1, 1 + place, 1))
        return states.length === 1 ? states[0]! : concat(states, 1)
      }
      const slots = m.dropout(read(), classifierDropout, 'slots')
      const vectors = m.parameters.get(labelVectors)!
      const readout = (given: Tensor) => {
        const compared = transform ? transformed(m, given, levels) : given
        const logits = ends.map((end, level) => {
          const start = ends[level - 1] ?? 0
          const state = reshape(slice(compared, 1, level, 1), ['B', hiddenSize])
          const own = slice(vectors, 0, start, end - start)
          if (cosine === undefined)
            return blockedLinear(state, own, slice(m.parameters.get(bias)!, 0, start, end - start))
          const none = state.graph.constant(new Float32Array(end - start), [end - start])
          return mul(blockedLinear(l2Normalize(state), l2Normalize(own), none), cosine)
        })
        return logits.length === 1 ? logits[0]! : concat(logits, 1)
      }
      return { logits: readout(slots), tensors: { slots }, readout }
    },
  }
}

/** The masked language model's way from a state to what is compared with the token table. */
function transformed(m: Modules, slots: Tensor, levels: number): Tensor {
  const { hiddenSize, activation } = m.config
  const rows = reshape(slots, [multiplyDims('B', levels), hiddenSize])
  return reshape(m.norm(activate(m.dense(rows, dense), activation), norm), ['B', levels, hiddenSize])
}
