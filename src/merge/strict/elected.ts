/** mergekit's sce, ram and ramplus_tl in its arithmetic. */
import { notNegative, positive, share, shared } from '../merge-method.ts'
import { descending } from './descending.ts'
import { defineStrict } from './strict-method.ts'
import { differences } from './strict-tensor.ts'
import { agreeing } from './task-vectors.ts'
import { type Numbers, type TorchNumbers, torchNumbers, widened } from './torch-numbers.ts'

/** Where the mean squares of all models sum to less than 1e-6, their weights are equal. */
export const sce = defineStrict(
  'sce',
  { base: 'required', options: { selectTopk: shared(share, 1) }, arrays: (inputs) => 3 * inputs + 4 },
  (tensor, { selectTopk }) => {
    const { n, base, length } = tensor
    const { round } = n
    const kept = selectTopk < 1 ? mostVaried(differences(tensor), selectTopk, n) : undefined
    const deltas = differences(tensor).map((delta) =>
      kept ? delta.map((x, i) => (kept[i] === 1 ? x : 0)) : delta,
    ) as Numbers[]
    const squares = deltas.map((delta) => n.mean(delta.map((x) => round(x * x))))
    const total = n.sumFew(squares.length, (t) => squares[t]!)
    const equal = round(1 / squares.length)
    const weights = squares.map((square) => (Math.abs(total) < 1e-6 ? equal : round(square / total)))
    const elected = agreeing(deltas, n)
    const least = round(1e-6)
    const result = n.make(length)
    for (let i = 0; i < length; i++) {
      const takes = elected(i)
      const sum = n.sumFew(deltas.length, (t) => (takes[t] ? round(deltas[t]![i]! * weights[t]!) : 0))
      const divisor = n.sumFew(deltas.length, (t) => (takes[t] ? weights[t]! : 0))
      result[i] = round(base[i]! + round(sum / Math.max(divisor, least)))
    }
    return result
  },
)

/** The share `topk` of the elements that vary at all, those that vary most; equal ones by index. */
function mostVaried(deltas: readonly Numbers[], topk: number, n: TorchNumbers): Uint8Array {
  const { length } = deltas[0]!
  const variances = n.make(length)
  for (let i = 0; i < length; i++) {
    const mean = deltas.reduce((sum, delta) => sum + delta[i]!, 0) / deltas.length
    variances[i] = n.round(deltas.reduce((sum, delta) => sum + (delta[i]! - mean) ** 2, 0) / deltas.length)
  }
  let varied = 0
  for (const x of variances) if (x !== 0) varied++
  const order = descending(new Float32Array(variances))
  const kept = new Uint8Array(length)
  for (const index of order.subarray(0, Math.trunc(Math.fround(varied * Math.fround(topk))))) kept[index] = 1
  return kept
}

/** For each element how many models change it by more than epsilon, compared in the tensors' type. */
function counts(deltas: readonly Numbers[], epsilon: number): Uint32Array {
  const found = new Uint32Array(deltas[0]!.length)
  for (const delta of deltas) for (let i = 0; i < found.length; i++) if (Math.abs(delta[i]!) > epsilon) found[i]!++
  return found
}

export const ram = defineStrict(
  'ram',
  { base: 'required', options: { epsilon: shared(notNegative, 1e-5) }, arrays: (inputs) => 2 * inputs + 3 },
  (tensor, { epsilon }) => {
    const { n, base } = tensor
    const { round } = n
    const deltas = differences(tensor)
    const least = round(epsilon)
    const count = counts(deltas, least)
    return base.map((origin, i) => {
      const step = n.sumFew(deltas.length, (t) => {
        const delta = deltas[t]![i]!
        return Math.abs(delta) > least ? round(delta / count[i]!) : 0
      })
      return round(origin + step)
    }) as Numbers
  },
)

/** The factors are float32, which makes a float32 tensor of a 16-bit one. */
export const ramplusTl = defineStrict(
  'ramplus-tl',
  {
    base: 'required',
    options: { r: shared(notNegative, 0.1), alpha: shared(notNegative, 0.2), epsilon: shared(positive, 1e-5) },
    resultType: widened,
  },
  (tensor, { r, alpha, epsilon }) => {
    const { n, base, length } = tensor
    const wide = torchNumbers(widened(n.dtype))
    const deltas = differences(tensor)
    const least = n.round(epsilon)
    const count = counts(deltas, least)
    const factors = deltas.map((delta) => {
      let [lone, common] = [0, 0]
      for (const [i, x] of delta.entries())
        if (Math.abs(x) > least) {
          if (count[i] === 1) lone++
          else common++
        }
      const rho = Math.fround(common / Math.fround(Math.max(lone, epsilon)))
      const limited = Math.min(Math.max(rho, 0), Math.fround(alpha))
      return Math.fround(1 + Math.fround(Math.fround(r) * limited))
    })
    const result = wide.make(length)
    for (let i = 0; i < length; i++) {
      const step = wide.sumFew(deltas.length, (t) => {
        const delta = deltas[t]![i]!
        if (Math.abs(delta) <= least) return 0
        return count[i] === 1 ? wide.round(delta * factors[t]!) : n.round(delta / count[i]!)
      })
      result[i] = wide.round(base[i]! + step)
    }
    return result
  },
)
