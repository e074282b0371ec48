/** mergekit's linear and passthrough in its arithmetic. */
import { anyNumber, perModel, shared, yesOrNo } from '../merge-method.ts'
import { defineStrict } from './strict-method.ts'
import { torchNumbers, widened } from './torch-numbers.ts'

/** Sums in float32 with one rounding for each product and sum, then divides; the weights are float32. */
export const linear = defineStrict(
  'linear',
  {
    base: 'model',
    options: { weight: perModel(anyNumber), normalize: shared(yesOrNo, true) },
    arrays: (inputs) => inputs + 2,
  },
  ({ n, models, length }, { weight, normalize }) => {
    const wide = torchNumbers(widened(n.dtype))
    const weights = weight.map(wide.round)
    const total = wide.sumFew(weights.length, (t) => weights[t]!)
    const result = n.make(length)
    for (let i = 0; i < length; i++) {
      let sum = 0
      for (const [t, model] of models.entries()) sum = wide.round(sum + model[i]! * weights[t]!)
      result[i] = n.round(normalize ? wide.round(sum / total) : sum)
    }
    return result
  },
)

export const passthrough = defineStrict(
  'passthrough',
  { base: 'unused', models: { least: 1, most: 1 }, options: { scale: perModel(anyNumber, 1) }, arrays: () => 3 },
  ({ n, models }, { scale }) => {
    const factor = n.scalar(scale[0]!)
    return models[0]!.map((x) => n.round(x * factor))
  },
)
