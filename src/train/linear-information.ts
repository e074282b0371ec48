/** Weights of features: rarity, and what the feature says about the labels; for a training row, as if the row itself had not been seen. */
import type { LinearOptions } from './linear-options.ts'

/** Labels of rows, in compressed row form: row r has labels[offsets[r]..offsets[r+1]), each below `count`. */
export interface LabelStatistics {
  readonly count: number
  readonly offsets: Uint32Array
  readonly labels: Uint32Array
}

/** Rows in which labels are counted, ascending: row rows[i] has features columns[offsets[i]..offsets[i+1]), with damped counts beside. */
export interface SampledRows {
  readonly rows: Uint32Array
  readonly offsets: Uint32Array
  readonly columns: Uint32Array
  readonly counts: Float32Array
}

/** What the features are, and in how many of all texts each occurs. */
export interface CountedFeatures {
  readonly hashes: Uint32Array
  readonly frequencies: Uint32Array
  readonly rows: number
}

export interface LearntWeights {
  /** Of each feature, for texts that labels were not counted in. */
  readonly weights: Float32Array
  /** Of each feature's entries in sampled rows, in row order, as if the row were not counted: entryWeights[starts[feature] ...]. */
  readonly entryWeights: Float32Array
  readonly starts: Uint32Array
}

/** Weighs features by rarity and by what they say about the labels. */
export function learnWeights(
  sample: SampledRows,
  { frequencies, rows }: CountedFeatures,
  labels: LabelStatistics,
  options: LinearOptions,
): LearntWeights {
  const features = frequencies.length
  // Sampled rows of each feature, in order; a slot's row number makes way for the weight of that entry.
  const starts = new Uint32Array(features + 1)
  for (const column of sample.columns) starts[column + 1]!++
  for (let feature = 0; feature < features; feature++) starts[feature + 1]! += starts[feature]!
  const slots = new Uint32Array(sample.columns.length)
  const cursor = starts.slice(0, features)
  for (let i = 0; i < sample.rows.length; i++) {
    for (let k = sample.offsets[i]!; k < sample.offsets[i + 1]!; k++)
      slots[cursor[sample.columns[k]!]!++] = sample.rows[i]!
  }
  const entryWeights = new Float32Array(slots.buffer)
  const weights = new Float32Array(features)
  const information = labelInformation(labels, options.smoothing)
  const uninformative = options.uninformative || (labels.count === 2 ? 0.7 : 0.3)
  for (let feature = 0; feature < features; feature++) {
    const start = starts[feature]!
    const end = starts[feature + 1]!
    const rarity = Math.log((1 + rows) / (1 + frequencies[feature]!)) + 1
    const weight = (share: number) => rarity * (uninformative + Math.sqrt(share))
    const { all, without } = information(slots, start, end)
    weights[feature] = weight(all)
    for (let slot = start; slot < end; slot++) entryWeights[slot] = weight(without(slots[slot]!))
  }
  return { weights, entryWeights, starts }
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
