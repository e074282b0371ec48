/** Linear assignment by shortest augmenting paths (Jonker and Volgenant, 1987; for rectangular matrices as in Crouse, 2016). */
import { largestMagnitude, type Matrix, transposed } from './matrix.ts'

export interface Assignment {
  /** The column of each row; -1 for rows beyond the number of columns. */
  readonly columns: Int32Array
  /** The sum of the chosen entries. */
  readonly cost: number
}

/**
 * Pairs rows with columns, each at most once and as many as possible, at the least total cost (or the greatest with `maximize`).
 * @throws InputError `NOT_FINITE`.
 * @example
 * assign(matrix(2, 2, [4, 1, 2, 3])).columns // [1, 0]
 */
export function assign(costs: Matrix, { maximize = false }: { maximize?: boolean } = {}): Assignment {
  largestMagnitude(costs)
  const sum = (columns: Int32Array) =>
    columns.reduce((total, j, i) => (j < 0 ? total : total + costs.data[i * costs.columns + j]!), 0)
  if (costs.rows > costs.columns) {
    const rowOfColumn = assignRows(transposed(costs), maximize ? -1 : 1)
    const columns = new Int32Array(costs.rows).fill(-1)
    for (const [j, i] of rowOfColumn.entries()) columns[i] = j
    return { columns, cost: sum(columns) }
  }
  const columns = assignRows(costs, maximize ? -1 : 1)
  return { columns, cost: sum(columns) }
}

/** The column of each row, for no more rows than columns. */
function assignRows({ rows, columns, data }: Matrix, sign: number): Int32Array {
  const columnOf = new Int32Array(rows).fill(-1)
  const rowOf = new Int32Array(columns).fill(-1)
  const rowPrice = new Float64Array(rows)
  const columnPrice = new Float64Array(columns)
  const distance = new Float64Array(columns)
  const from = new Int32Array(columns)
  const open = new Int32Array(columns)
  const reachedRows = new Int32Array(rows)
  const closed = new Uint8Array(columns)
  for (let start = 0; start < rows; start++) {
    distance.fill(Number.POSITIVE_INFINITY)
    closed.fill(0)
    for (let j = 0; j < columns; j++) open[j] = j
    let left = columns
    let reached = 0
    let row = start
    let least = 0
    let sink = -1
    while (sink < 0) {
      reachedRows[reached++] = row
      let best = -1
      let next = Number.POSITIVE_INFINITY
      for (let at = 0; at < left; at++) {
        const j = open[at]!
        const length = least + sign * data[row * columns + j]! - rowPrice[row]! - columnPrice[j]!
        if (length < distance[j]!) {
          distance[j] = length
          from[j] = row
        }
        // Of equally near columns a free one ends the search.
        if (distance[j]! < next || (distance[j]! === next && rowOf[j] === -1)) {
          next = distance[j]!
          best = at
        }
      }
      least = next
      const j = open[best]!
      closed[j] = 1
      open[best] = open[--left]!
      if (rowOf[j] === -1) sink = j
      else row = rowOf[j]!
    }
    rowPrice[start]! += least
    for (let k = 1; k < reached; k++) {
      const i = reachedRows[k]!
      rowPrice[i]! += least - distance[columnOf[i]!]!
    }
    for (let j = 0; j < columns; j++) if (closed[j]) columnPrice[j]! -= least - distance[j]!
    for (let j = sink; ; ) {
      const i = from[j]!
      rowOf[j] = i
      const before = columnOf[i]!
      columnOf[i] = j
      if (i === start) break
      j = before
    }
  }
  return columnOf
}
