import { describe, expect, test } from 'vitest'
import { Arena } from '../tensor/kernels/arena.ts'
import { random } from '../tensor/random.ts'
import { NgramFeaturizer } from '../text/ngram-featurizer.ts'
import { defaultNgrams } from '../text/ngram-hasher.ts'
import { type FeatureLimits, linearFeatures } from './linear-features.ts'
import { defaultLinearOptions } from './linear-options.ts'

/** Rows of a label's own word among words that say nothing. */
const count = 400
const r = random('linear-features test')
const labelOf = Array.from({ length: count }, (_, row) => Math.floor(r.uniform(row) * 4))
const texts = labelOf.map((label, row) => {
  const other = (i: number) => `w${Math.floor(r.uniform(1000 + row * 10 + i) * 30)}`
  return [other(0), ['zebra', 'yacht', 'xenon', 'quartz'][label]!, other(1), other(2), 'the'].join(' ')
})
const labels = {
  count: 4,
  offsets: Uint32Array.from({ length: count + 1 }, (_, i) => i),
  labels: Uint32Array.from(labelOf),
}

async function features(limits?: Partial<FeatureLimits>) {
  const arena = Arena.shared()
  const all = { sampleEntries: 1e9, maxEntries: 1e9, maxCandidates: 2 ** 20, ...limits }
  const { matrix, vocabulary } = await linearFeatures(
    texts,
    labels,
    defaultNgrams,
    defaultLinearOptions,
    arena,
    {},
    all,
  )
  const offsets = arena.u32(matrix.offsets, matrix.rows + 1)
  const rows = Array.from({ length: matrix.rows }, (_, row) => {
    const [first, last] = [offsets[row]!, offsets[row + 1]!]
    return {
      columns: [...arena.u32(matrix.columns, matrix.entries).subarray(first, last)],
      values: [...arena.f32(matrix.values, matrix.entries).subarray(first, last)],
    }
  })
  return { matrix, vocabulary, rows, norms: [...arena.f32(matrix.norms, matrix.rows)] }
}

/** Weight of a word: the least of its features as a text by itself, which besides are pairs with the begin and end of text, rarer than the word. */
async function weightOf(word: string, vocabulary: { hashes: Uint32Array; weights: Float32Array }): Promise<number> {
  const featurizer = await NgramFeaturizer.create(new Arena(), defaultNgrams, vocabulary.hashes, vocabulary.weights)
  const kept = featurizer.features(word)
  const { arena, scratch } = featurizer.hasher
  const columns = arena.u32(scratch.columns, kept)
  const kinds = arena.u8(scratch.kinds, kept)
  return Math.min(...Array.from(columns).flatMap((column, i) => (kinds[i] === 0 ? [vocabulary.weights[column]!] : [])))
}

describe('the features of training rows', () => {
  test('have length one for words and one for characters', async () => {
    const { rows, norms } = await features()
    for (const [i, { values }] of rows.entries()) {
      const square = values.reduce((sum, value) => sum + value * value, 0)
      expect(square).toBeCloseTo(2, 4)
      expect(norms[i]).toBe(2)
    }
  })

  test('a word that tells the label weighs more than words that do not', async () => {
    const { vocabulary } = await features()
    const telling = await weightOf('zebra', vocabulary)
    expect(telling).toBeGreaterThan(2 * (await weightOf('the', vocabulary)))
    expect(telling).toBeGreaterThan(1.5 * (await weightOf('w3', vocabulary)))
  })

  test('rows that labels are not counted in are weighted like new texts', async () => {
    const { matrix, vocabulary, rows } = await features({ sampleEntries: 8000 })
    expect(matrix.rows).toBe(count)
    const featurizer = await NgramFeaturizer.create(new Arena(), defaultNgrams, vocabulary.hashes, vocabulary.weights)
    const stride = Math.ceil((await features()).matrix.entries / 8000)
    expect(stride).toBeGreaterThan(1)
    for (const row of [1, 1 + stride]) {
      const kept = featurizer.features(texts[row]!)
      const { arena, scratch } = featurizer.hasher
      expect([...arena.u32(scratch.columns, kept)]).toEqual(rows[row]!.columns)
      const values = arena.f32(scratch.values, kept)
      for (let i = 0; i < kept; i++) expect(values[i]).toBeCloseTo(rows[row]!.values[i]!, 5)
    }
  })

  test('too many entries: the features that tell least are left out', async () => {
    const all = await features()
    const maxEntries = Math.floor(all.matrix.entries / 3)
    const few = await features({ maxEntries })
    expect(few.matrix.entries).toBeLessThanOrEqual(maxEntries)
    expect(few.matrix.entries).toBeGreaterThan(maxEntries / 2)
    expect(await weightOf('zebra', few.vocabulary)).toBe(await weightOf('zebra', all.vocabulary))
    expect(Math.max(...few.rows.flatMap((row) => row.columns))).toBe(few.matrix.features - 1)
    const mean = (weights: Float32Array) => weights.reduce((sum, weight) => sum + weight, 0) / weights.length
    expect(mean(few.vocabulary.weights)).toBeGreaterThan(mean(all.vocabulary.weights))
  })

  test('too many candidates: those that are left are counted in full', async () => {
    const all = await features()
    const few = await features({ maxCandidates: 2 ** 10 })
    expect(few.matrix.features).toBeLessThan(all.matrix.features)
    const weights = new Map(Array.from(all.vocabulary.hashes, (hash, i) => [hash, all.vocabulary.weights[i]!]))
    for (const [i, hash] of few.vocabulary.hashes.entries())
      expect(few.vocabulary.weights[i]).toBeCloseTo(weights.get(hash)!, 5)
  })
})
