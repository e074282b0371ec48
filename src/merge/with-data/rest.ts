/** What becomes of parameters that a method with data does not merge itself: normalisations, biases, positions. */
import { InputError } from '../../util/errors.ts'
import { meanWeights, type Specialists } from './specialists.ts'

export type Rest = 'mean' | 'sum'

export function mergeRest(specialists: Specialists, name: string, rest: Rest, lambda: number): Float32Array {
  const { models, base } = specialists
  if (rest === 'mean') return meanWeights(models, name)
  if (!base)
    throw new InputError('BASE_MISSING', 'rest "sum" takes differences from a base, and none is named', {
      help: 'name the model that the others were fine-tuned from',
    })
  const origin = base.get(name)!
  const sum = Float64Array.from(origin)
  for (const { weights } of models) {
    const values = weights.get(name)!
    for (let i = 0; i < sum.length; i++) sum[i]! += lambda * (values[i]! - origin[i]!)
  }
  return Float32Array.from(sum)
}
