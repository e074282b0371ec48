import { expect, test } from 'vitest'
import type { LinearProblems, ProblemBlock } from './linear-problems.ts'
import { blockRows } from './linear-rows.ts'

/** Problem p has the rows p, p + count, p + 2 count, ... */
function problemsOf(count: number, rows: number): LinearProblems {
  const offsets = new Uint32Array(count + 1)
  const yes: number[] = []
  for (let problem = 0; problem < count; problem++) {
    for (let row = problem; row < rows; row += count) yes.push(row)
    offsets[problem + 1] = yes.length
  }
  return {
    count,
    blocks: [],
    groupRows: { offsets: Uint32Array.of(0, rows), rows: Uint32Array.from({ length: rows }, (_, i) => i) },
    yesRows: { offsets, rows: Uint32Array.from(yes) },
    combination: { offsets: new Uint32Array(1), problems: new Uint32Array(), factors: new Float32Array() },
  }
}

const blockOf = (first: number, groupSize: number): ProblemBlock => ({
  group: 0,
  first,
  size: 16,
  twoWay: false,
  groupSize,
})

test('a block takes all rows of its group where that is affordable', () => {
  const problems = problemsOf(160, 20_000)
  expect(blockRows(problems, blockOf(16, 160), problems.groupRows.rows, 20_000, 0)).toBe(problems.groupRows.rows)
})

test('in a huge group it takes the rows of its problems, of their neighbours, and a sample of the others', () => {
  const [count, rows] = [16_000, 160_000]
  const problems = problemsOf(count, rows)
  const taken = blockRows(problems, blockOf(1600, count), problems.groupRows.rows, rows, 0)
  expect(taken.length).toBe(12_000)
  expect([...taken].every((row, i) => i === 0 || row > taken[i - 1]!)).toBe(true)
  const own = [...taken].filter((row) => row % count >= 1600 && row % count < 1616)
  expect(own.length).toBe(160)
  const near = [...taken].filter((row) => row % count >= 1552 && row % count < 1664)
  expect(near.length).toBe(112 * 10)
  // The others come from everywhere.
  const quarters = [0, 0, 0, 0]
  for (const row of taken) quarters[Math.floor((4 * row) / rows)]!++
  for (const quarter of quarters) expect(quarter).toBeGreaterThan(2500)
  expect(blockRows(problems, blockOf(1600, count), problems.groupRows.rows, rows, 0)).toEqual(taken)
  expect(blockRows(problems, blockOf(1600, count), problems.groupRows.rows, rows, 1)).not.toEqual(taken)
})
