/**
 * Prompts inside the encoder: vectors of the coarse classes stand among the tokens in one layer, which learns to draw in the one of the text's class
 * (Wang et al., TransHP: Image classification with hierarchical prompting, 2023). The finer labels are read off the first token.
 */
import { blockedLinear, concat, mul, reduceSum, reshape, slice, type Tensor } from '../../graph/index.ts'
import type { SlotConfigOf } from './slot-config.ts'
import type { SlotHead } from './slot-head.ts'

const vectors = 'slots.output.weight'
const bias = 'slots.output.bias'

/** The logit of a class is the product of its own prompt, as the layer gives it back, with the class's vector: no other pair counts. */
export function ownPromptLogits(prompts: Tensor, own: Tensor): Tensor {
  return reduceSum(mul(prompts, own), [2])
}

/** The first units have prompts, layer by layer; the others are read off the first token. */
export function layerPrompts({ prompts }: SlotConfigOf<'layer-prompts'>): SlotHead {
  const prompted = prompts.reduce((sum, { units }) => sum + units, 0)
  return {
    prompts: prompts.map(({ layer, units }) => ({ layer, count: units })),
    specs: ({ hiddenSize }, units) => [
      { name: vectors, shape: [units, hiddenSize], initial: 'normal', part: 'classifier', lookup: false },
      { name: bias, shape: [units - prompted], initial: 'zeros', part: 'classifier', lookup: false },
    ],
    build(m, { hidden, prompts: found }, units) {
      const { hiddenSize, classifierDropout } = m.config
      const table = m.parameters.get(vectors)!
      let start = 0
      const coarse = found.map((states, i) => {
        const own = slice(table, 0, start, prompts[i]!.units)
        start += prompts[i]!.units
        return ownPromptLogits(states, own)
      })
      const first = m.dropout(reshape(slice(hidden, 1, 0, 1), ['B', hiddenSize]), classifierDropout, 'slots')
      const fine = blockedLinear(first, slice(table, 0, prompted, units - prompted), m.parameters.get(bias)!)
      return { logits: coarse.length === 0 ? fine : concat([...coarse, fine], 1) }
    },
  }
}
