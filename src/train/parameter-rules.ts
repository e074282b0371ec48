/** Which weights are trained, which decay, and at what share of the learning rate: rules by tensor name and shape. */
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'

export interface NamedShape {
  readonly name: string
  readonly shape: readonly number[]
}

export interface ParameterRule {
  readonly trained: boolean
  /** Weight decay applies: true for matrices; biases and normalisation scales are left alone. */
  readonly decays: boolean
  /** Multiplies the learning rate. */
  readonly rate: number
}

const layerOf = /\blayers?\.(\d+)\./

/** A test for one freeze pattern: `embeddings`, `layers:N` (the first N layers), or tensor names with `*` for any characters. */
function matcher(pattern: string): (name: string) => boolean {
  if (pattern === 'embeddings') return (name) => /(^|\.)embeddings\./.test(name)
  const layers = /^layers:(\d+)$/.exec(pattern)
  if (layers) return (name) => Number(layerOf.exec(name)?.[1] ?? Number.POSITIVE_INFINITY) < Number(layers[1])
  const glob = new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  )
  return (name) => glob.test(name)
}

/**
 * Rules for the tensors of a model, by name.
 * @param freeze patterns of weights that stay as they are: `embeddings`, `layers:N`, or tensor names with `*`.
 * @param isHead tells the classification head, whose rate is `headRate` times the others'.
 * @throws InputError `FREEZE_UNKNOWN` for a pattern that fits no tensor, `FREEZE_ALL` if nothing is left to train.
 */
export function parameterRules(
  tensors: readonly NamedShape[],
  freeze: readonly string[],
  isHead: (name: string) => boolean,
  headRate: number,
): Map<string, ParameterRule> {
  const frozen = new Set<string>()
  for (const pattern of freeze) {
    const fits = tensors.map(({ name }) => name).filter(matcher(pattern))
    if (fits.length === 0)
      throw new InputError('FREEZE_UNKNOWN', `No tensor of the model fits the freeze pattern "${pattern}"`, {
        where: { key: 'freeze' },
        help: didYouMean(
          pattern,
          ['embeddings', ...tensors.map(({ name }) => name)],
          'use embeddings, layers:N, or tensor names with *',
        ),
      })
    for (const name of fits) frozen.add(name)
  }
  if (frozen.size === tensors.length)
    throw new InputError('FREEZE_ALL', 'Every tensor is frozen: nothing is left to train', { where: { key: 'freeze' } })
  return new Map(
    tensors.map(({ name, shape }) => [
      name,
      { trained: !frozen.has(name), decays: shape.length > 1, rate: isHead(name) ? headRate : 1 },
    ]),
  )
}
