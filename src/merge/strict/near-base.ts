/** mergekit's methods around a base in its arithmetic: model_stock, nearswap and arcee_fusion. */
import { positive, shared, yesOrNo } from '../merge-method.ts'
import { defineStrict } from './strict-method.ts'
import { differences, vectorsAlong } from './strict-tensor.ts'
import { type Numbers, type TorchNumbers, widened } from './torch-numbers.ts'

export const modelStock = defineStrict(
  'model-stock',
  {
    base: 'required',
    models: { least: 2 },
    options: { filterWise: shared(yesOrNo, false) },
    arrays: (inputs) => 2 * inputs + 6,
  },
  (tensor, { filterWise }) => {
    const { n, models, base, length } = tensor
    const { round } = n
    const count = models.length
    const offsets = differences(tensor)
    const vectors = vectorsAlong(filterWise ? tensor.shape : [length], false)
    const result = n.make(length)
    for (const start of vectors.starts) {
      const end = start + vectors.length
      const t = towardsAverage(
        offsets.map((x) => x.subarray(start, end)),
        n,
      )
      const rest = round(1 - t)
      for (let i = start; i < end; i++) {
        let average = 0
        for (const model of models) average = round(average + model[i]!)
        average = round(average / count)
        result[i] = round(round(t * average) + round(rest * base[i]!))
      }
    }
    return result
  },
)

function towardsAverage(offsets: readonly Numbers[], n: TorchNumbers): number {
  const { round } = n
  const norms = offsets.map(n.norm)
  const cosines = offsets.flatMap((a, i) =>
    offsets.slice(i + 1).map((b, j) => {
      const product = n.sum(a.map((x, k) => round(x * b[k]!)))
      const size = Math.max(round(norms[i]! * norms[i + 1 + j]!), round(1e-6))
      return Math.min(1, Math.max(-1, round(product / size)))
    }),
  )
  const cosine = n.meanFew(cosines.length, (i) => cosines[i]!)
  const count = offsets.length
  const denominator = round(1 + round((count - 1) * cosine))
  return Math.abs(denominator) < round(1e-6) ? 0 : round(round(count * cosine) / denominator)
}

/** The share is a reciprocal, rounded, times t. */
export const nearswap = defineStrict(
  'nearswap',
  { base: 'required', models: { least: 1, most: 1 }, options: { t: shared(positive) }, arrays: () => 4 },
  ({ n, models, base }, { t }) => {
    const { round } = n
    const [least, factor] = [round(1e-6), n.scalar(t)]
    return base.map((a, i) => {
      const b = models[0]![i]!
      const distance = Math.max(Math.abs(round(a - b)), least)
      const share = Math.min(1, round(round(1 / distance) * factor))
      return round(round(share * b) + round(round(1 - share) * a))
    }) as Numbers
  },
)

/** Its mask is float32, which makes a float32 tensor of a 16-bit one. */
export const arceeFusion = defineStrict(
  'arcee-fusion',
  { base: 'required', models: { least: 1, most: 1 }, options: {}, resultType: widened, arrays: () => 10 },
  (tensor) => {
    const { n, models, base, length } = tensor
    const { round } = n
    const model = models[0]!
    const [delta] = differences(tensor) as [Numbers]
    const importance = n.make(length)
    const rows = vectorsAlong(tensor.shape, false)
    for (const start of rows.starts) {
      const end = start + rows.length
      const q = softmax(base.subarray(start, end), n)
      const terms = softmax(model.subarray(start, end), n).map((p, i) => round(p * round(Math.log(round(p / q[i]!)))))
      const divergence = n.sum(terms)
      for (let i = start; i < end; i++) importance[i] = round(Math.abs(delta[i]!) * divergence)
    }
    const sorted = importance.slice().sort()
    const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => sorted[Math.trunc(Math.fround(q * (length - 1)))]!) as [
      number,
      number,
      number,
    ]
    const threshold = round(middle + round(1.5 * round(high - low)))
    const result = n.dtype === 'F64' ? new Float64Array(length) : new Float32Array(length)
    for (let i = 0; i < length; i++) result[i] = base[i]! + (importance[i]! >= threshold ? delta[i]! : 0)
    return result
  },
)

/** Probabilities, each raised by 1e-8. */
function softmax(x: Numbers, n: TorchNumbers): Numbers {
  let top = Number.NEGATIVE_INFINITY
  for (const value of x) top = Math.max(top, value)
  const powers = Float64Array.from(x, (value) => Math.exp(value - top))
  const sum = powers.reduce((total, power) => total + power, 0)
  return x.map((_, i) => n.round(n.round(powers[i]! / sum) + n.round(1e-8))) as Numbers
}
