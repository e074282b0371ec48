/** mergekit's methods on the sphere in its arithmetic: slerp, nuslerp, multislerp and karcher. */
import * as v from 'valibot'
import { RunError } from '../../util/errors.ts'
import { anyNumber, perModel, positive, share, shared, yesOrNo } from '../merge-method.ts'
import { defineStrict } from './strict-method.ts'
import { differences, gather, vectorsAlong } from './strict-tensor.ts'
import { type Numbers, type TorchNumbers, torchNumbers, widened } from './torch-numbers.ts'

const clamp = (x: number): number => Math.min(1, Math.max(-1, x))

/** Long vectors are gone through in parts of this many elements, each with a norm and a product of its own. */
const part = 1024 * 1024

export const slerp = defineStrict(
  'slerp',
  { base: 'required', models: { least: 1, most: 1 }, options: { t: shared(share) }, arrays: () => 5 },
  ({ n, models, base, length }, { t }) => {
    const wide = torchNumbers(widened(n.dtype))
    const { round } = wide
    const model = models[0]!
    const parts = Array.from({ length: Math.ceil(length / part) }, (_, i) => [i * part, (i + 1) * part] as const)
    const norm = (x: Numbers) => {
      const found = wide.norm(parts.map(([from, to]) => wide.norm(x.subarray(from, to))))
      return found > round(1e-8) ? found : 1
    }
    const [first, second] = [norm(base), norm(model)]
    const products = parts.map(([from, to]) => {
      const other = model.subarray(from, to)
      return wide.sum(base.subarray(from, to).map((x, i) => round(round(x / first) * round(other[i]! / second))))
    })
    const cosine = clamp(wide.sum(products))
    const linear = Math.abs(cosine) > round(0.9995)
    const [share, rest] = [round(t), round(1 - round(t))]
    const angle = round(Math.acos(linear ? 0 : cosine))
    const sine = round(Math.sin(angle))
    const a = linear ? rest : round(round(Math.sin(round(rest * angle))) / sine)
    const b = linear ? share : round(round(Math.sin(round(share * angle))) / sine)
    return base.map((x, i) => n.round(round(round(a * x) + round(b * model[i]!)))) as Numbers
  },
)

export const nuslerp = defineStrict(
  'nuslerp',
  {
    base: 'optional',
    models: { least: 2, most: 2 },
    options: {
      weight: perModel(anyNumber),
      nuslerpFlatten: shared(yesOrNo, true),
      nuslerpRowWise: shared(yesOrNo, false),
    },
    arrays: (inputs) => 2 * inputs + 6,
  },
  (tensor, { weight, nuslerpFlatten, nuslerpRowWise }, task) => {
    const { n, base, length } = tensor
    const total = weight[0]! + weight[1]!
    const t = Math.abs(total) < 1e-6 ? 0.5 : weight[1]! / total
    const [first, second] = (task.hasBase ? differences(tensor) : tensor.models) as [Numbers, Numbers]
    const vectors = vectorsAlong(nuslerpFlatten ? [length] : tensor.shape, nuslerpRowWise && !nuslerpFlatten)
    const result = n.make(length)
    for (const start of vectors.starts) {
      const along = (x: Numbers) => gather(x, start, vectors.length, vectors.step, n)
      const mixed = mix(along(first), along(second), t, n)
      for (let i = 0; i < mixed.length; i++) result[start + i * vectors.step] = mixed[i]!
    }
    return task.hasBase ? (result.map((x, i) => n.round(base[i]! + x)) as Numbers) : result
  },
)

function mix(a: Numbers, b: Numbers, t: number, n: TorchNumbers): Numbers {
  const { round } = n
  const unit = (x: Numbers) => {
    const norm = Math.max(n.norm(x), round(1e-7))
    return x.map((value) => round(value / norm))
  }
  const other = unit(b)
  const cosine = clamp(n.sum(unit(a).map((x, i) => round(x * other[i]!))))
  const [share, rest] = [n.scalar(t), n.scalar(1 - t)]
  if (round(1 - round(cosine * cosine)) <= round(1e-16))
    return a.map((x, i) => round(round(rest * x) + round(share * b[i]!))) as Numbers
  const angle = round(Math.acos(cosine))
  const sine = round(Math.sin(angle))
  const [p, q] = [round(Math.sin(round(rest * angle))), round(Math.sin(round(share * angle)))]
  return a.map((x, i) => round(round(round(p * x) + round(q * b[i]!)) / sine)) as Numbers
}

export const multislerp = defineStrict(
  'multislerp',
  {
    base: 'optional',
    options: { weight: perModel(anyNumber), normalizeWeights: shared(yesOrNo, true), eps: shared(positive, 1e-8) },
    arrays: (inputs) => 3 * inputs + 4,
  },
  (tensor, { weight, normalizeWeights, eps }, task) => {
    const { n, base, length } = tensor
    const { round } = n
    if (tensor.models.length === 1) return tensor.models[0]!
    const vectors = task.hasBase ? differences(tensor) : tensor.models
    const given = weight.map(round)
    const total = n.sumFew(given.length, (t) => given[t]!)
    const shares = normalizeWeights ? given.map((w) => round(w / total)) : given
    const withBase = (values: Numbers) =>
      task.hasBase ? (values.map((x, i) => round(x + base[i]!)) as Numbers) : values
    /** The sum over the models of what `value` gives for one element. */
    const over = (value: (t: number, i: number) => number) => {
      const sums = n.make(length)
      for (let i = 0; i < length; i++) sums[i] = n.sumFew(vectors.length, (t) => value(t, i))
      return sums
    }
    const norms = vectors.map(n.norm)
    const units = vectors.map((x, t) => x.map((value) => round(value / round(norms[t]! + round(eps)))))
    const sum = over((t, i) => round(units[t]![i]! * shares[t]!))
    const size = n.norm(sum)
    if (size < round(eps)) {
      if (vectors.length !== 2)
        throw new RunError('MERGE_UNDEFINED', 'The directions of the models cancel out, so they have no mean', {
          where: { tensor: task.name },
          help: 'use other weights, or another method for this tensor',
        })
      return withBase(
        vectors[0]!.map((x, i) => round(round(x * shares[0]!) + round(vectors[1]![i]! * shares[1]!))) as Numbers,
      )
    }
    const mean = sum.map((x) => round(x / size))
    const dots = units.map((x) => n.sum(x.map((value, i) => round(value * mean[i]!))))
    const tangent = over((t, i) => round(round(units[t]![i]! - round(dots[t]! * mean[i]!)) * shares[t]!))
    const step = round(n.norm(tangent) + round(eps))
    const [cosine, ratio] = [round(Math.cos(step)), round(round(Math.sin(step)) / step)]
    const scale = n.sumFew(norms.length, (t) => round(norms[t]! * shares[t]!))
    return withBase(mean.map((x, i) => round(round(round(x * cosine) + round(tangent[i]! * ratio)) * scale)) as Numbers)
  },
)

export const karcher = defineStrict(
  'karcher',
  {
    base: 'model',
    options: {
      maxIter: shared(v.pipe(anyNumber, v.integer('Expected a whole number'), v.minValue(1)), 10),
      tol: shared(positive, 1e-5),
    },
    arrays: (inputs) => 2 * inputs + 6,
  },
  ({ n, models, length }, { maxIter, tol }) => {
    const { round } = n
    const wide = torchNumbers(widened(n.dtype))
    if (models.length === 1) return models[0]!
    const norms = models.map(wide.norm)
    const scaled = (x: Numbers, size: number) => x.map((value) => round(value / size)) as Numbers
    const units = models.flatMap((x, t) => (norms[t]! > tol ? [scaled(x, norms[t]!)] : []))
    if (units.length === 0) return n.make(length)
    const alpha = 1 / models.length / units.reduce((sum) => sum + 1 / models.length, 0)
    const share = n.scalar(alpha)
    let mean = n.make(length)
    for (const unit of units) mean = mean.map((x, i) => round(x + round(share * unit[i]!))) as Numbers
    const size = wide.norm(mean)
    mean = size < tol ? units[0]!.slice() : scaled(mean, size)
    for (let step = 0; step < maxIter; step++) {
      const tangent = n.make(length)
      for (const unit of units) {
        const cosine = clamp(dot(mean, unit, n))
        const angle = round(Math.acos(cosine))
        if (angle < tol) continue
        const factor = round(share * round(angle / round(Math.sin(angle))))
        for (let i = 0; i < length; i++)
          tangent[i] = round(tangent[i]! + round(factor * round(unit[i]! - round(cosine * mean[i]!))))
      }
      const far = wide.norm(tangent)
      if (far < tol) break
      // A float32 scalar that stands before a tensor of a 16-bit type is rounded to that type.
      const [cosine, sine] = [round(wide.round(Math.cos(far))), round(wide.round(Math.sin(far)))]
      mean = mean.map((x, i) => round(round(cosine * x) + round(sine * round(tangent[i]! / far)))) as Numbers
      const unitNorm = wide.norm(mean)
      if (unitNorm > tol) mean = scaled(mean, unitNorm)
    }
    const each = wide.scalar(1 / models.length)
    const scale = round(wide.sumFew(norms.length, (t) => wide.round(each * norms[t]!)))
    return mean.map((x) => round(scale * x)) as Numbers
  },
)

function dot(a: Numbers, b: Numbers, n: TorchNumbers): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return n.round(sum)
}
