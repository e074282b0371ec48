/** How many singular vectors of each task's change are kept where a matrix has room for min(rows, columns) of them (after R-TSVM). */
import type { Matrix } from '../../tensor/linear-algebra/matrix.ts'

/** The share of elements below a tenth of the mean magnitude. */
export function sparsity({ data }: Matrix): number {
  let sum = 0
  for (const value of data) sum += Math.abs(value)
  const limit = (0.1 * sum) / data.length
  let below = 0
  for (const value of data) if (Math.abs(value) < limit) below++
  return sum === 0 ? 1 : below / data.length
}

/** Equal shares shortened by each task's sparsity; what that frees goes to the others in turn, the least sparse first. */
export function sparsityRanks(least: number, sparsities: readonly number[]): number[] {
  const share = least / sparsities.length
  const ranks = sparsities.map((s) => Math.max(1, Math.min(Math.floor(share), Math.round(share * (1 - s)))))
  let free = Math.floor(share) * ranks.length - ranks.reduce((sum, rank) => sum + rank, 0)
  const takers = [...sparsities.keys()].sort((a, b) => sparsities[a]! - sparsities[b]! || a - b)
  const half = takers.slice(0, Math.ceil(takers.length / 2))
  for (let i = 0; free > 0; i++, free--) ranks[half[i % half.length]!]!++
  return ranks
}

/** The fewest singular values of each task that hold this share of its squared sum; all shortened alike where there is no room. */
export function energyRanks(least: number, spectra: readonly Float64Array[], share: number): number[] {
  const wanted = spectra.map((s) => {
    const total = s.reduce((sum, value) => sum + value * value, 0)
    let sum = 0
    let count = 0
    while (count < s.length && sum < share * total) sum += s[count++]! ** 2
    return Math.max(1, count)
  })
  const total = wanted.reduce((sum, count) => sum + count, 0)
  return total <= least ? wanted : wanted.map((count) => Math.max(1, Math.floor((count * least) / total)))
}
