/**
 * From texts to a sparse matrix of n-gram features in kernel memory, and the vocabulary to do the same at prediction.
 *
 * A value is (1 + ln count) x idf x (u + sqrt(information)), words and characters each scaled to length one. Information is how far a feature
 * moves the label distribution: KL(labels given the feature || labels) / H(labels), smoothed; for a training row it is computed as if the row
 * had not been seen, else rare features would look informative only because of the row itself.
 */
import { setImmediate } from 'node:timers/promises'
import { Arena } from '../tensor/kernels/arena.ts'
import { dampedCounts } from '../text/ngram-featurizer.ts'
import { NgramHasher, type NgramOptions } from '../text/ngram-hasher.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { informativeValues, type LabelStatistics } from './linear-information.ts'
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

/** Distinct n-grams held at most while counting; beyond, those seen once are dropped and counting goes on. */
const maxCandidates = 2 ** 24
const rowsPerStep = 2000

export async function linearFeatures(
  texts: readonly string[],
  labels: LabelStatistics,
  ngrams: NgramOptions,
  options: LinearOptions,
  arena: Arena,
  { signal, onProgress }: RunOptions,
): Promise<{ matrix: LinearMatrix; vocabulary: Vocabulary }> {
  const step = async (row: number, done: number) => {
    if (row % rowsPerStep !== 0) return
    onProgress?.({ step: 'features', done, total: 2 * texts.length, unit: 'rows' })
    await setImmediate()
    throwIfAborted(signal)
  }
  const hasher = await NgramHasher.create(new Arena(), ngrams)
  const counter = new Counter(hasher)
  for (let row = 0; row < texts.length; row++) {
    await step(row, row)
    counter.add(texts[row]!)
  }
  const minTexts = options.minTexts > 0 ? options.minTexts : texts.length < 30_000 ? 1 : 2
  const { hashes, frequencies } = counter.most(minTexts, options.maxFeatures)
  const lookup = counter.lookup(hashes)
  if (counter.pruned) {
    // What was dropped on the way has been counted short.
    frequencies.fill(0)
    for (let row = 0; row < texts.length; row++) {
      await step(row, row)
      const kept = lookup(texts[row]!)
      for (const column of hasher.arena.u32(hasher.scratch.columns, kept)) frequencies[column]!++
    }
  }
  const entries = frequencies.reduce((sum, count) => sum + count, 0)
  const matrix: LinearMatrix = {
    rows: texts.length,
    features: hashes.length,
    entries,
    offsets: arena.allocate((texts.length + 1) * 4),
    columns: arena.allocate(entries * 4),
    values: arena.allocate(entries * 4),
    norms: arena.allocate(texts.length * 4),
  }
  const offsets = arena.u32(matrix.offsets, texts.length + 1)
  const columns = arena.u32(matrix.columns, entries)
  const values = arena.f32(matrix.values, entries)
  const kinds = new Uint8Array(entries)
  let used = 0
  for (let row = 0; row < texts.length; row++) {
    await step(row, texts.length + row)
    const kept = lookup(texts[row]!)
    const { scratch, arena: own } = hasher
    columns.set(own.u32(scratch.columns, kept), used)
    values.set(own.f32(scratch.values, kept), used)
    kinds.set(own.u8(scratch.kinds, kept), used)
    used += kept
    offsets[row + 1] = used
  }
  const weights = informativeValues(
    { offsets, columns, values, kinds, frequencies, norms: arena.f32(matrix.norms, texts.length) },
    labels,
    options,
  )
  return { matrix: { ...matrix, entries: used }, vocabulary: { hashes, weights } }
}

/** Counts in how many texts each n-gram occurs. */
class Counter {
  readonly hasher: NgramHasher
  /** Rare n-grams had to be dropped for want of room. */
  pruned = false
  #capacity = 0
  #size = 0
  #table = 0
  #entries = 0
  #frequencies = 0
  #used = 0

  constructor(hasher: NgramHasher) {
    this.hasher = hasher
    this.#grow(2 ** 17)
  }

  add(text: string): void {
    const { kernels } = this.hasher
    const found = this.hasher.hash(text)
    while (this.#used + found > this.#capacity) this.#makeRoom()
    this.#used = kernels.enter(
      found,
      this.hasher.scratch.hashes,
      this.#table,
      this.#size,
      this.#used,
      this.#entries,
      this.#frequencies,
    ) // prettier-ignore
  }

  /** The n-grams of at least `minTexts` texts, the `limit` most frequent ones, in order of first occurrence. */
  most(minTexts: number, limit: number): { hashes: Uint32Array; frequencies: Uint32Array } {
    const { arena } = this.hasher
    const hashes = arena.u32(this.#entries, this.#used)
    const frequencies = arena.u32(this.#frequencies, this.#used)
    let least = minTexts
    let kept = 0
    for (; ; least++) {
      kept = 0
      for (const frequency of frequencies) if (frequency >= least) kept++
      if (kept <= limit) break
    }
    const result = { hashes: new Uint32Array(kept), frequencies: new Uint32Array(kept) }
    kept = 0
    for (let i = 0; i < this.#used; i++) {
      if (frequencies[i]! < least) continue
      result.hashes[kept] = hashes[i]!
      result.frequencies[kept++] = frequencies[i]!
    }
    return result
  }

  /** Replaces the counts by a vocabulary; the returned function leaves a text's known n-grams in the scratch memory and returns their number. */
  lookup(hashes: Uint32Array): (text: string) => number {
    const { hasher } = this
    const { arena, kernels } = hasher
    arena.u32(this.#entries, hashes.length).set(hashes)
    arena.u32(this.#table, this.#size * 2).fill(0)
    kernels.index(this.#entries, hashes.length, this.#table, this.#size)
    const damped = arena.allocate(dampedCounts.byteLength)
    arena.f32(damped, dampedCounts.length).set(dampedCounts)
    return (text) => {
      const found = hasher.hash(text)
      const { hashes, counts, columns, kinds, values } = hasher.scratch
      return kernels.known(found, hashes, counts, this.#table, this.#size, damped, columns, kinds, values)
    }
  }

  #makeRoom(): void {
    if (this.#capacity < maxCandidates) {
      this.#grow(this.#capacity * 2)
      return
    }
    this.pruned = true
    const { hashes, frequencies } = this.most(2, maxCandidates / 2)
    const { arena, kernels } = this.hasher
    arena.u32(this.#table, this.#size * 2).fill(0)
    arena.u32(this.#entries, hashes.length).set(hashes)
    arena.u32(this.#frequencies, hashes.length).set(frequencies)
    this.#used = hashes.length
    kernels.index(this.#entries, this.#used, this.#table, this.#size)
  }

  #grow(capacity: number): void {
    const { arena, kernels } = this.hasher
    const old = { entries: this.#entries, frequencies: this.#frequencies }
    this.#capacity = capacity
    this.#size = capacity * 2
    this.#entries = arena.allocate(capacity * 4)
    this.#frequencies = arena.allocate(capacity * 4)
    this.#table = arena.allocate(this.#size * 8)
    if (this.#used === 0) return
    arena.u8(0, arena.used).copyWithin(this.#entries, old.entries, old.entries + this.#used * 4)
    arena.u8(0, arena.used).copyWithin(this.#frequencies, old.frequencies, old.frequencies + this.#used * 4)
    kernels.index(this.#entries, this.#used, this.#table, this.#size)
  }
}
