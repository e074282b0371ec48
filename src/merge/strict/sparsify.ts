/** How mergekit thins out a difference: by magnitude, without outliers, at random, or at random by rank; and how it rescales what is left. */
import { InputError } from '../../util/errors.ts'
import { descending } from './descending.ts'
import { type Numbers, type TorchNumbers, torchNumbers } from './torch-numbers.ts'

/** The random word of an element, below 2^32. */
export type Words = (index: number) => number

/** The elements where `mask` is set; with `rescale` their magnitudes sum to that of all. */
function masked(delta: Numbers, mask: Uint8Array, n: TorchNumbers, rescale: boolean): Numbers {
  const kept = delta.map((x, i) => (mask[i] === 1 ? x : 0)) as Numbers
  if (!rescale) return kept
  const [before, after] = [delta, kept].map((x) => n.sum(x.map(Math.abs))) as [number, number]
  const least = n.round(1e-7)
  if (before < least || after < least) return kept
  const factor = n.round(before / after)
  return kept.map((x) => n.round(x * factor)) as Numbers
}

/** Indices from the largest magnitude to the smallest. */
const byMagnitude = (x: Numbers): Uint32Array => descending(new Float32Array(x.map(Math.abs)))

const maskOf = (length: number, indices: Uint32Array): Uint8Array => {
  const mask = new Uint8Array(length)
  for (const index of indices) mask[index] = 1
  return mask
}

export function keepLargest(delta: Numbers, density: number, n: TorchNumbers, rescale: boolean): Numbers {
  if (density >= 1) return delta
  if (density <= 0) return delta.map(() => 0) as Numbers
  const count = Math.max(1, Math.trunc(density * delta.length))
  return masked(delta, maskOf(delta.length, byMagnitude(delta).subarray(0, count)), n, rescale)
}

export function dropOutliers(
  delta: Numbers,
  density: number,
  gamma: number,
  n: TorchNumbers,
  rescale: boolean,
): Numbers {
  if (density >= 1) return delta
  const { length } = delta
  const count = Math.trunc(density * length)
  const smallest = Math.max(0, length - count - Math.trunc(gamma * length))
  const kept = byMagnitude(delta).subarray(length - smallest - count, length - smallest)
  return masked(delta, maskOf(length, kept), n, rescale)
}

const twoTo32 = 2 ** 32

/** Masks are drawn in bfloat16 for bfloat16, otherwise in float32, also for float64. */
const maskNumbers = ({ dtype }: TorchNumbers): TorchNumbers => torchNumbers(dtype === 'BF16' ? 'BF16' : 'F32')

function drawn(
  delta: Numbers,
  n: TorchNumbers,
  rescale: boolean,
  words: Words,
  chance: (i: number, work: TorchNumbers) => number,
): Numbers {
  const work = maskNumbers(n)
  const values = delta.map(work.round) as Numbers
  const mask = new Uint8Array(values.length)
  for (let i = 0; i < mask.length; i++) mask[i] = words(i) < Math.round(chance(i, work) * twoTo32) ? 1 : 0
  return masked(values, mask, work, rescale).map(n.round) as Numbers
}

export function dropAtRandom(
  delta: Numbers,
  density: number,
  n: TorchNumbers,
  rescale: boolean,
  words: Words,
): Numbers {
  if (density >= 1) return delta
  return drawn(delta, n, rescale, words, (_, work) => work.round(density))
}

export function dropByRank(
  delta: Numbers,
  { density, epsilon }: { density: number; epsilon: number },
  shape: readonly number[],
  n: TorchNumbers,
  rescale: boolean,
  words: Words,
): Numbers {
  if (density >= 1) return delta
  if (density <= 0) return delta.map(() => 0) as Numbers
  if (density + epsilon >= 1 || density - epsilon <= 0)
    throw new InputError('METHOD_OPTION', 'Expected density - epsilon and density + epsilon between 0 and 1', {
      help: 'choose a smaller epsilon',
    })
  const work = maskNumbers(n)
  const ranks = ranksAlong(delta, shape.length < 2 ? [1, ...shape] : shape)
  const size = (shape.length < 2 ? shape[0] : shape[1]) ?? 1
  const [least, most] = [work.round(1), work.round(size)]
  const span = work.round(most - least)
  const low = work.round(density - epsilon)
  return drawn(delta, n, rescale, words, (i) => {
    // A row of one element divides zero by zero in mergekit, which then stops; its density is the only sensible chance.
    const place = span === 0 ? 0.5 : Math.min(1, work.round(work.round(work.round(ranks[i]! + 1) - least) / span))
    return work.round(low + work.round(work.round(place * 2) * work.scalar(epsilon)))
  })
}

/** Ranks of magnitudes along the second dimension, 0 the smallest; equal ones in order of their index. */
function ranksAlong(delta: Numbers, [outer, size, ...rest]: readonly number[]): Uint32Array {
  const inner = rest.reduce((product, width) => product * width, 1)
  const ranks = new Uint32Array(delta.length)
  const at = (o: number, k: number, j: number) => (o * size! + k) * inner + j
  for (let o = 0; o < outer!; o++)
    for (let j = 0; j < inner; j++) {
      const order = Uint32Array.from({ length: size! }, (_, k) => k).sort(
        (a, b) => Math.abs(delta[at(o, a, j)]!) - Math.abs(delta[at(o, b, j)]!) || a - b,
      )
      for (const [rank, k] of order.entries()) ranks[at(o, k, j)] = rank
    }
  return ranks
}
