/**
 * What a token's occurrence says of a label: mutual information over the training rows, as a share of what the two know together (information Jaccard),
 * and only where the token speaks for the label. From PLANT (Roy et al., 2024), step 1.
 */
import type { HeadTargets } from '../../labels/head-layout.ts'
import type { TokenRows } from '../batches.ts'

const term = (joint: number, a: number, b: number): number => (joint === 0 ? 0 : joint * Math.log(joint / (a * b)))
const entropy = (p: number): number => (p <= 0 || p >= 1 ? 0 : -p * Math.log(p) - (1 - p) * Math.log(1 - p))

export interface PairCounts {
  /** Rows with both, with the token, with the label, and in all. */
  readonly both: number
  readonly token: number
  readonly label: number
  readonly rows: number
}

/** Mutual information of two yes-or-no variables, in nats. */
export function mutualInformation({ both, token, label, rows }: PairCounts): number {
  const [t, c] = [token / rows, label / rows]
  const neither = rows - token - label + both
  const sum =
    term(both / rows, t, c) +
    term((token - both) / rows, t, 1 - c) +
    term((label - both) / rows, 1 - t, c) +
    term(neither / rows, 1 - t, 1 - c)
  return Math.max(0, sum)
}

/** I / (H_t + H_c - I): 0 if independent, 1 if one tells the other. */
export function informationJaccard(counts: PairCounts): number {
  const shared = mutualInformation(counts)
  const all = entropy(counts.token / counts.rows) + entropy(counts.label / counts.rows) - shared
  return all > 0 ? shared / all : 0
}

/** Units counted at a time: a block of this many columns of the table. */
const chunk = 64

/**
 * J of every token and unit, [vocabulary, units] row by row; 0 where the token is not more frequent in rows with the unit than elsewhere: knowing that a
 * token rules a label out is information too, but no reason to read it.
 * @param leastRows tokens in fewer rows are left out: what they seem to say is chance.
 */
export function tokenInformation(
  rows: TokenRows,
  { unitOffsets, rightUnits }: HeadTargets,
  units: number,
  vocabulary: number,
  leastRows = 1,
): Float32Array {
  const count = rows.offsets.length - 1
  const tokenRows = new Uint32Array(vocabulary)
  const unitRows = new Uint32Array(units)
  const distinct = Array.from({ length: count }, (_, row) =>
    Uint32Array.from(new Set(rows.tokens.subarray(rows.offsets[row], rows.offsets[row + 1]))),
  )
  for (const tokens of distinct) for (const token of tokens) tokenRows[token]!++
  for (const unit of rightUnits) unitRows[unit]!++
  const information = new Float32Array(vocabulary * units)
  for (let start = 0; start < units; start += chunk) {
    const size = Math.min(chunk, units - start)
    const both = new Uint32Array(vocabulary * size)
    for (const [row, tokens] of distinct.entries())
      for (const unit of rightUnits.subarray(unitOffsets[row], unitOffsets[row + 1])) {
        if (unit < start || unit >= start + size) continue
        for (const token of tokens) both[token * size + unit - start]!++
      }
    for (let token = 0; token < vocabulary; token++)
      for (let i = 0; i < size; i++) {
        const counts = {
          both: both[token * size + i]!,
          token: tokenRows[token]!,
          label: unitRows[start + i]!,
          rows: count,
        }
        if (counts.token < leastRows || counts.both * count <= counts.token * counts.label) continue
        information[token * units + start + i] = informationJaccard(counts)
      }
  }
  return information
}
