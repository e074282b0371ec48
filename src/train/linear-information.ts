/** Feature values for training rows: term frequency, rarity, and what the feature says about the labels when the row itself is left out. */
import type { LinearOptions } from './linear-options.ts'

/** Labels of rows, in compressed row form: row r has labels[offsets[r]..offsets[r+1]), each below `count`. */
export interface LabelStatistics {
  readonly count: number
  readonly offsets: Uint32Array
  readonly labels: Uint32Array
}

/** The matrix while it is being weighted: `values` hold damped counts first; `frequencies`: texts per column; kinds: 0 word, 1 characters. */
export interface Unweighted {
  readonly offsets: Uint32Array
  readonly columns: Uint32Array
  readonly values: Float32Array
  readonly kinds: Uint8Array
  readonly frequencies: Uint32Array
  readonly norms: Float32Array
}

/** Turns damped counts into values, in place, and fills the rows' squared lengths. Returns the columns' weights for texts that were not trained on. */
export function informativeValues(matrix: Unweighted, labels: LabelStatistics, options: LinearOptions): Float32Array {
  const { offsets, columns, frequencies } = matrix
  const rows = offsets.length - 1
  const features = frequencies.length
  // Rows of each column, in row order; a slot's row number makes way for the weight of that entry.
  const starts = new Float64Array(features + 1)
  for (let column = 0; column < features; column++) starts[column + 1] = starts[column]! + frequencies[column]!
  const slots = new Uint32Array(starts[features]!)
  const cursor = starts.slice(0, features)
  for (let row = 0; row < rows; row++) {
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) slots[cursor[columns[i]!]!++] = row
  }
  const entryWeights = new Float32Array(slots.buffer)
  const weights = new Float32Array(features)
  const information = labelInformation(labels, options.smoothing)
  for (let column = 0; column < features; column++) {
    const start = starts[column]!
    const end = cursor[column]!
    const rarity = Math.log((1 + rows) / (1 + end - start)) + 1
    const weight = (share: number) => rarity * (options.uninformative + Math.sqrt(share))
    const { all, without } = information(slots, start, end)
    weights[column] = weight(all)
    for (let slot = start; slot < end; slot++) entryWeights[slot] = weight(without(slots[slot]!))
  }
  cursor.set(starts.subarray(0, features))
  for (let row = 0; row < rows; row++) weighRow(matrix, row, entryWeights, cursor)
  return weights
}

/** One row's values: times the entries' weights, words and characters each scaled to length one. */
function weighRow(matrix: Unweighted, row: number, entryWeights: Float32Array, cursor: Float64Array): void {
  const { offsets, columns, values, kinds, norms } = matrix
  const squares = [0, 0]
  const first = offsets[row]!
  const last = offsets[row + 1]!
  for (let i = first; i < last; i++) {
    const value = values[i]! * entryWeights[cursor[columns[i]!]!++]!
    values[i] = value
    squares[kinds[i]!]! += value * value
  }
  const scales = squares.map((square) => (square > 0 ? 1 / Math.sqrt(square) : 0))
  let norm = 0
  for (let i = first; i < last; i++) {
    const value = (values[i]! *= scales[kinds[i]!]!)
    norm += value * value
  }
  norms[row] = norm
}

type Information = (rows: Uint32Array, start: number, end: number) => { all: number; without: (row: number) => number }

/** KL(labels in these rows || labels in all rows) / H(labels), smoothed by `smoothing` rows of the prior; in all rows, and without one of them. */
function labelInformation({ count, offsets, labels }: LabelStatistics, smoothing: number): Information {
  const prior = new Float64Array(count)
  for (const label of labels) prior[label]! += 1 / labels.length
  let entropy = 0
  for (const share of prior) if (share > 0) entropy -= share * Math.log(share)
  if (!(entropy > 1e-9)) return () => ({ all: 0, without: () => 0 })
  const seen = new Float64Array(count)
  const present: number[] = []
  // With a = n_c + s p_c: KL = sum_c a ln(a / p_c) / (n + s) - ln(n + s); a label that is absent adds s p_c ln s.
  const term = (label: number, times: number) => {
    const mass = times + smoothing * prior[label]!
    return mass * Math.log(mass / prior[label]!)
  }
  const share = (sum: number, total: number) =>
    Math.max(0, (sum / (total + smoothing) - Math.log(total + smoothing)) / entropy)
  return (rows, start, end) => {
    for (const label of present) seen[label] = 0
    present.length = 0
    let total = 0
    for (let slot = start; slot < end; slot++) {
      const row = rows[slot]!
      for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
        const label = labels[i]!
        if (seen[label]!++ === 0) present.push(label)
        total++
      }
    }
    let sum = smoothing * Math.log(smoothing)
    for (const label of present) sum += term(label, seen[label]!) - term(label, 0)
    return {
      all: share(sum, total),
      without: (row) => {
        let rest = sum
        for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
          const label = labels[i]!
          rest += term(label, seen[label]! - 1) - term(label, seen[label]!)
        }
        return share(rest, total - (offsets[row + 1]! - offsets[row]!))
      },
    }
  }
}
