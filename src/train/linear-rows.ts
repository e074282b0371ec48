/**
 * Which rows a block of problems is trained on: all of its group's, unless the group is so large that this would take hours. Then each block takes
 * the rows of its own labels and of their neighbours (siblings stand side by side), which are the hard ones, and a sample of the others.
 */
import { random } from '../tensor/random.ts'
import { type LinearProblems, type ProblemBlock, problemsPerBlock } from './linear-problems.ts'

/** Rows visited by one pass over all blocks of a group, before rows are sampled. */
const maxVisits = 8_000_000
/** Rows sampled for a block at least. */
const leastRows = 12_000
/** Problems on either side of a block whose rows count as neighbours. */
const reach = 3 * problemsPerBlock

/** @param active the rows in which the block's group is active. @param rows the number of all rows. */
export function blockRows(
  problems: LinearProblems,
  block: ProblemBlock,
  active: Uint32Array,
  rows: number,
  seed: number,
): Uint32Array {
  const blocks = Math.ceil(block.groupSize / problemsPerBlock)
  const limit = Math.max(leastRows, Math.floor(maxVisits / blocks))
  if (active.length <= limit) return active
  const { yesRows, count } = problems
  const taken = new Uint8Array(rows)
  let size = 0
  const take = (row: number) => {
    if (taken[row] === 0) size++
    taken[row] = 1
  }
  const first = yesRows.offsets[block.first]!
  const last = yesRows.offsets[block.first + block.size]!
  for (let i = first; i < last; i++) take(yesRows.rows[i]!)
  const most = Math.max(limit, 2 * size)
  if (most >= active.length) return active
  const from = yesRows.offsets[Math.max(0, block.first - reach)]!
  const to = yesRows.offsets[Math.min(count, block.first + block.size + reach)]!
  for (let i = from; i < to && size < most / 2; i++) take(yesRows.rows[i]!)
  const draws = random(seed, 'linear', 'rows', block.group, block.first)
  for (let draw = 0; size < most; draw++) take(active[Math.floor(draws.uniform(draw) * active.length)]!)
  return active.filter((row) => taken[row] === 1)
}
