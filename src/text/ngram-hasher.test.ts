import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena } from '../tensor/kernels/arena.ts'
import { maxTextLength, NgramHasher } from './ngram-hasher.ts'
import { characterClass, normalizeText, originalSpans } from './ngram-text.ts'

const mix = (h: number): number => {
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return (h ^ (h >>> 16)) >>> 0
}
const join = (a: number, b: number): number => mix((Math.imul(a, 0x9e3779b1) + b + 0x85ebca6b) >>> 0)

/** The same n-grams by plain JavaScript: a map from hash to count. */
function plainNgrams(text: string, minChars = 2, maxChars = 5): Map<number, number> {
  const codes = [...normalizeText(text)].map((c) => c.codePointAt(0)!).filter((code) => characterClass(code) !== 3)
  const tokens: number[] = [0x2545f491]
  for (let i = 0; i < codes.length; ) {
    const kind = characterClass(codes[i]!)
    if (kind === 0) {
      i++
      continue
    }
    let h = 0x811c9dc5
    do {
      h = Math.imul(h ^ codes[i]!, 0x01000193)
      h = (h ^ (h >>> 15)) >>> 0
      i++
    } while (kind === 1 && i < codes.length && characterClass(codes[i]!) === 1)
    tokens.push(mix(h))
  }
  tokens.push(0x9f4a7c15)
  const counts = new Map<number, number>()
  const add = (hash: number) => counts.set(hash, (counts.get(hash) ?? 0) + 1)
  for (let t = 0; t + 1 < tokens.length; t++) {
    if (t > 0) add((join(tokens[t]!, 1) & ~1) >>> 0)
    if (tokens.length > 2) add((join(Math.imul(tokens[t]!, 31) >>> 0, tokens[t + 1]!) & ~1) >>> 0)
  }
  const stream = [32]
  for (const code of codes) {
    const blank = characterClass(code) === 0
    if (!blank) stream.push(code)
    else if (stream.at(-1) !== 32) stream.push(32)
  }
  if (stream.length > 1 && stream.at(-1) !== 32) stream.push(32)
  for (let i = 0; i < stream.length; i++) {
    let h = 0x1b873593
    for (let n = 1; n <= maxChars && i + n <= stream.length; n++) {
      h = join(h, stream[i + n - 1]!)
      if (n >= minChars) add((h | 1) >>> 0)
    }
  }
  return counts
}

async function hashed(texts: string[]): Promise<Map<number, number>[]> {
  const hasher = await NgramHasher.create(new Arena())
  return texts.map((text) => {
    const found = hasher.hash(text)
    const hashes = hasher.arena.u32(hasher.scratch.hashes, found)
    const counts = hasher.arena.u32(hasher.scratch.counts, found)
    return new Map(Array.from(hashes, (hash, i) => [hash, counts[i]!]))
  })
}

const words = (counts: Map<number, number>) => [...counts.keys()].filter((hash) => hash % 2 === 0)

describe('n-grams of a text', () => {
  test('equal those of plain JavaScript for any Unicode text', async () => {
    const hasher = await NgramHasher.create(new Arena())
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        const found = hasher.hash(text)
        const hashes = hasher.arena.u32(hasher.scratch.hashes, found)
        const counts = hasher.arena.u32(hasher.scratch.counts, found)
        expect(new Map(Array.from(hashes, (hash, i) => [hash, counts[i]!]))).toEqual(plainNgrams(text))
      }),
      { numRuns: 300 },
    )
  })

  test('one text leaves nothing behind for the next, long or short', async () => {
    const long = 'the quick brown fox jumps over the lazy dog '.repeat(500)
    const [first, , third] = await hashed(['a short text', long, 'a short text'])
    expect(third).toEqual(first)
    expect((await hashed([long]))[0]).toEqual(plainNgrams(long))
  })

  test('case, width and composition of characters do not matter', async () => {
    const [plain, upper, wide, decomposed] = await hashed(['café 12', 'CAFÉ 12', 'ｃａｆé １２', 'cafe\u0301 12'])
    expect(upper).toEqual(plain)
    expect(wide).toEqual(plain)
    expect(decomposed).toEqual(plain)
  })

  test('ideographs, kana, emoji and punctuation are tokens by themselves; invisible characters are left out', async () => {
    const [chinese, english, emoji, family, joined] = await hashed(['天气很好', 'fine', '😀!', '👨‍👩‍👧', '👨👩👧'])
    expect(words(chinese!).length).toBe(4 + 5) // four tokens, five pairs with begin and end
    expect(words(english!).length).toBe(1 + 2)
    expect(words(emoji!).length).toBe(2 + 3)
    expect(family).toEqual(joined)
  })

  test('an empty text and blanks have no word features', async () => {
    for (const counts of await hashed(['', ' \t\n ', '\u200b'])) expect(words(counts)).toEqual([])
  })

  test('a text of ten million characters is cut, not refused', async () => {
    const [all, cut] = await hashed(['x y '.repeat(2_500_000), 'x y '.repeat(maxTextLength / 4)])
    expect([...all!.keys()].sort()).toEqual([...cut!.keys()].sort())
  })
})

test('spans name the original characters, where normalisation makes more or fewer of them', () => {
  const text = 'ﬁt İ e\u0301'
  const spans = originalSpans(text)
  expect(spans.map(({ start, end }) => text.slice(start, end))).toEqual(['ﬁ', 'ﬁ', 't', ' ', 'İ', 'İ', ' ', 'e\u0301'])
})
