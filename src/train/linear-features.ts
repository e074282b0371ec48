/**
 * From texts to a sparse matrix of n-gram features in kernel memory, and the vocabulary to do the same at prediction.
 *
 * A value is (1 + ln count) x idf x (u + sqrt(information)), words and characters each scaled to length one. Information is how far a feature
 * moves the label distribution: KL(labels given the feature || labels) / H(labels), smoothed; for a training row it is computed as if the row
 * had not been seen, else rare features would look informative only because of the row itself.
 */
import { setImmediate } from 'node:timers/promises'
import { Arena } from '../tensor/kernels/arena.ts'
import { NgramHasher, type NgramOptions } from '../text/ngram-hasher.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { NgramCounter } from './linear-counter.ts'
import { type LabelStatistics, type LearntWeights, learnWeights, type SampledRows } from './linear-information.ts'
import type { LinearOptions } from './linear-options.ts'

/** Rows of features in an arena: row r has the columns and values offsets[r] .. offsets[r+1]-1. */
export interface LinearMatrix {
  readonly rows: number
  readonly features: number
  readonly entries: number
  readonly offsets: number
  readonly columns: number
  readonly values: number
  /** Squared lengths of rows. */
  readonly norms: number
}

export interface Vocabulary {
  /** Hash of each feature. */
  readonly hashes: Uint32Array
  /** What a feature's damped count is multiplied by, at prediction. */
  readonly weights: Float32Array
}

const rowsPerStep = 2000

/** What keeps memory in bounds on large sets. */
export interface FeatureLimits {
  /** Entries of the rows that labels are counted in: with more, only every k-th row is, which is plenty. */
  readonly sampleEntries: number
  /** Entries of the matrix: with more, the least telling features are left out. */
  readonly maxEntries: number
  /** Distinct n-grams held while counting: with more, those seen once are dropped and counting goes on. */
  readonly maxCandidates: number
}

const usualLimits: FeatureLimits = { sampleEntries: 48_000_000, maxEntries: 144_000_000, maxCandidates: 2 ** 23 }

export async function linearFeatures(
  texts: readonly string[],
  labels: LabelStatistics,
  ngrams: NgramOptions,
  options: LinearOptions,
  arena: Arena,
  { signal, onProgress }: RunOptions,
  limits = usualLimits,
): Promise<{ matrix: LinearMatrix; vocabulary: Vocabulary }> {
  const hasher = await NgramHasher.create(new Arena(), ngrams)
  /** Calls `visit` with every stride-th row's number; sees to progress and interruption. */
  const eachRow = async (pass: number, stride: number, visit: (row: number) => void) => {
    for (let row = 0; row < texts.length; row += stride) {
      visit(row)
      if ((row / stride) % rowsPerStep !== 0) continue
      onProgress?.({ step: 'features', done: pass * texts.length + row, total: 2 * texts.length, unit: 'rows' })
      await setImmediate()
      throwIfAborted(signal)
    }
  }
  const counter = new NgramCounter(hasher, limits.maxCandidates)
  await eachRow(0, 1, (row) => counter.add(texts[row]!))
  const minTexts = options.minTexts > 0 ? options.minTexts : texts.length < 30_000 ? 1 : 2
  const { hashes, frequencies } = counter.most(minTexts, options.maxFeatures)
  const lookup = counter.lookup(hashes)
  if (counter.pruned) {
    frequencies.fill(0)
    await eachRow(0, 1, (row) => {
      const kept = lookup(texts[row]!)
      for (const column of hasher.arena.u32(hasher.scratch.columns, kept)) frequencies[column]!++
    })
  }
  const entries = frequencies.reduce((sum, count) => sum + count, 0)
  const stride = Math.max(1, Math.ceil(entries / limits.sampleEntries))
  const sample = await sampleRows(texts.length, stride, entries, (visit) =>
    eachRow(0, stride, (row) => visit(row, hasher, lookup(texts[row]!))),
  )
  const learnt = learnWeights(sample, { hashes, frequencies, rows: texts.length }, labels, options)
  const columnOf = chooseColumns(frequencies, learnt.weights, limits.maxEntries)
  const chosen = { entries: 0, features: 0 }
  for (const [feature, column] of columnOf.entries()) {
    if (column === dropped) continue
    chosen.features++
    chosen.entries += frequencies[feature]!
  }
  const matrix: LinearMatrix = {
    rows: texts.length,
    ...chosen,
    offsets: arena.allocate((texts.length + 1) * 4),
    columns: arena.allocate(chosen.entries * 4),
    values: arena.allocate(chosen.entries * 4),
    norms: arena.allocate(texts.length * 4),
  }
  const filler = new RowFiller(arena, matrix, hashes, columnOf, learnt)
  if (stride === 1) {
    for (let row = 0; row < texts.length; row++) {
      const first = sample.offsets[row]!
      const last = sample.offsets[row + 1]!
      filler.fill(row, true, sample.columns.subarray(first, last), sample.counts.subarray(first, last))
    }
  } else {
    await eachRow(1, 1, (row) => {
      const kept = lookup(texts[row]!)
      const { scratch, arena: own } = hasher
      filler.fill(row, row % stride === 0, own.u32(scratch.columns, kept), own.f32(scratch.values, kept))
    })
  }
  return { matrix, vocabulary: vocabularyOf(hashes, learnt.weights, columnOf, chosen.features) }
}

/** The columns and damped counts of every stride-th row. */
async function sampleRows(
  rows: number,
  stride: number,
  entries: number,
  eachRow: (visit: (row: number, hasher: NgramHasher, kept: number) => void) => Promise<void>,
): Promise<SampledRows> {
  const numbers = Uint32Array.from({ length: Math.ceil(rows / stride) }, (_, i) => i * stride)
  const offsets = new Uint32Array(numbers.length + 1)
  // With a stride, how many entries its rows have is known only afterwards: room for a quarter more than the average says.
  const room = stride === 1 ? entries : Math.ceil((1.25 * entries) / stride)
  let columns = new Uint32Array(room)
  let counts = new Float32Array(room)
  let used = 0
  let i = 0
  await eachRow((_, { scratch, arena }, kept) => {
    if (used + kept > columns.length) {
      const more = new Uint32Array(columns.length * 2 + kept)
      more.set(columns)
      columns = more
      const moreCounts = new Float32Array(more.length)
      moreCounts.set(counts)
      counts = moreCounts
    }
    columns.set(arena.u32(scratch.columns, kept), used)
    counts.set(arena.f32(scratch.values, kept), used)
    used += kept
    offsets[++i] = used
  })
  return { rows: numbers, offsets, columns: columns.subarray(0, used), counts: counts.subarray(0, used) }
}

const dropped = 0xffffffff

/** Numbers the features that are kept, in order: all, or, where they have too many entries, those of the largest weights. */
function chooseColumns(frequencies: Uint32Array, weights: Float32Array, maxEntries: number): Uint32Array {
  const columnOf = new Uint32Array(frequencies.length).fill(dropped)
  const order = Uint32Array.from(frequencies, (_, feature) => feature)
  let room = maxEntries
  if (frequencies.reduce((sum, count) => sum + count, 0) > room)
    order.sort((a, b) => weights[b]! - weights[a]! || a - b)
  for (const feature of order) if ((room -= frequencies[feature]!) >= 0) columnOf[feature] = 0
  let column = 0
  for (let feature = 0; feature < columnOf.length; feature++) if (columnOf[feature] === 0) columnOf[feature] = column++
  return columnOf
}

function vocabularyOf(hashes: Uint32Array, weights: Float32Array, columnOf: Uint32Array, features: number): Vocabulary {
  const vocabulary = { hashes: new Uint32Array(features), weights: new Float32Array(features) }
  for (const [feature, column] of columnOf.entries()) {
    if (column === dropped) continue
    vocabulary.hashes[column] = hashes[feature]!
    vocabulary.weights[column] = weights[feature]!
  }
  return vocabulary
}

/** Writes rows into the matrix, one after the other: counts times weights, words and characters each scaled to length one. */
class RowFiller {
  readonly #offsets: Uint32Array
  readonly #columns: Uint32Array
  readonly #values: Float32Array
  readonly #norms: Float32Array
  readonly #hashes: Uint32Array
  readonly #columnOf: Uint32Array
  readonly #learnt: LearntWeights
  /** The next entry of each feature among those of sampled rows. */
  readonly #cursor: Uint32Array

  constructor(arena: Arena, matrix: LinearMatrix, hashes: Uint32Array, columnOf: Uint32Array, learnt: LearntWeights) {
    this.#offsets = arena.u32(matrix.offsets, matrix.rows + 1)
    this.#columns = arena.u32(matrix.columns, matrix.entries)
    this.#values = arena.f32(matrix.values, matrix.entries)
    this.#norms = arena.f32(matrix.norms, matrix.rows)
    this.#hashes = hashes
    this.#columnOf = columnOf
    this.#learnt = learnt
    this.#cursor = learnt.starts.slice()
  }

  fill(row: number, sampled: boolean, features: Uint32Array, counts: Float32Array): void {
    const { weights, entryWeights } = this.#learnt
    const first = this.#offsets[row]!
    let at = first
    let words = 0
    let characters = 0
    for (let i = 0; i < features.length; i++) {
      const feature = features[i]!
      const weight = sampled ? entryWeights[this.#cursor[feature]!++]! : weights[feature]!
      const column = this.#columnOf[feature]!
      if (column === dropped) continue
      const value = counts[i]! * weight
      if (this.#hashes[feature]! & 1) characters += value * value
      else words += value * value
      this.#columns[at] = feature
      this.#values[at++] = value
    }
    const wordScale = words > 0 ? 1 / Math.sqrt(words) : 0
    const characterScale = characters > 0 ? 1 / Math.sqrt(characters) : 0
    for (let i = first; i < at; i++) {
      const feature = this.#columns[i]!
      this.#values[i]! *= this.#hashes[feature]! & 1 ? characterScale : wordScale
      this.#columns[i] = this.#columnOf[feature]!
    }
    this.#norms[row] = (words > 0 ? 1 : 0) + (characters > 0 ? 1 : 0)
    this.#offsets[row + 1] = at
  }
}
