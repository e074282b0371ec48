import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bertNormalize, bertWords } from './bert-normalizer.ts'
import { bertSpecialTokens, type TokenizerJson } from './bert-tokenizer-json.ts'
import { learnMerges } from './learn-merges.ts'
import { tokenizerFrom } from './tokenizer.ts'
import { trainBpe } from './train-bpe.ts'
import { trainWordPiece } from './train-wordpiece.ts'

const vocabulary = (json: TokenizerJson) => json.model['vocab'] as Record<string, number>

describe('learnMerges', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), minLength: 1, maxLength: 10 })
  const words = fc.uniqueArray(fc.tuple(word, fc.integer({ min: 1, max: 9 })), {
    selector: ([text]) => text,
    maxLength: 25,
  })

  /** The published algorithm in its plainest form: count all pairs anew for every merge. */
  function plain(input: [string, number][], symbols: string[], maxSymbols: number, minFrequency: number): string[] {
    let sequences = input.map(([text, count]) => ({ parts: [...text], count }))
    const merges: string[] = []
    while (symbols.length < maxSymbols) {
      const counts = new Map<string, number>()
      for (const { parts, count } of sequences)
        for (let i = 0; i + 1 < parts.length; i++) {
          const pair = `${parts[i]} ${parts[i + 1]}`
          counts.set(pair, (counts.get(pair) ?? 0) + count)
        }
      const rank = (pair: string) => pair.split(' ').map((part) => symbols.indexOf(part))
      const [best] = [...counts].sort(([p, n], [q, m]) => {
        const [a, b] = [rank(p), rank(q)]
        return m - n || a[0]! - b[0]! || a[1]! - b[1]!
      })
      if (!best || best[1] < minFrequency) break
      const [left, right] = best[0].split(' ') as [string, string]
      merges.push(best[0])
      if (!symbols.includes(left + right)) symbols.push(left + right)
      sequences = sequences.map(({ parts, count }) => {
        const merged: string[] = []
        for (let i = 0; i < parts.length; i++) {
          if (parts[i] === left && parts[i + 1] === right) merged.push(left + right) && i++
          else merged.push(parts[i]!)
        }
        return { parts: merged, count }
      })
    }
    return merges
  }

  test('equals counting everything anew for each merge', () => {
    fc.assert(
      fc.property(
        words,
        fc.integer({ min: 4, max: 30 }),
        fc.integer({ min: 1, max: 4 }),
        (input, maxSymbols, minFrequency) => {
          const symbols = ['a', 'b', 'c', 'd']
          const expected = plain(input, [...symbols], maxSymbols, minFrequency)
          const merges = learnMerges(
            input.map(([text, count]) => [[...text], count] as [string[], number]),
            symbols,
            { maxSymbols, minFrequency, join: (a, b) => a + b },
          )
          expect(merges.map(({ left, right }) => `${left} ${right}`)).toEqual(expected)
        },
      ),
      { numRuns: 400 },
    )
  })

  test("the example of Sennrich's paper", () => {
    const words: [string[], number][] = [
      [['l', 'o', 'w', '</w>'], 5],
      [['l', 'o', 'w', 'e', 'r', '</w>'], 2],
      [['n', 'e', 'w', 'e', 's', 't', '</w>'], 6],
      [['w', 'i', 'd', 'e', 's', 't', '</w>'], 3],
    ]
    const symbols = [...new Set(words.flatMap(([parts]) => parts))]
    const merges = learnMerges(words, symbols, {
      maxSymbols: symbols.length + 4,
      minFrequency: 1,
      join: (a, b) => a + b,
    })
    // e+s, s+t and t+</w> are equally frequent (9): the paper leaves the choice open, ours takes the symbols seen first.
    expect(merges.map(({ merged }) => merged)).toEqual(['es', 't</w>', 'est</w>', 'lo'])
  })
})

describe.each([
  ['trainWordPiece', trainWordPiece],
  ['trainBpe', trainBpe],
] as const)('%s', (_, train) => {
  const sentences = [
    'book a table for two',
    'book a flight to Paris',
    'Wie spät ist es?',
    '東京の天気は?',
    'como está o tempo 😀 hoje',
    'tables and flights',
  ]
  const texts = Array.from({ length: 60 }, (_, i) => `${sentences[i % 6]} ${sentences[(i * 7 + 1) % 6]}`)

  test('special tokens come first, ids are dense, the size is kept', () => {
    for (const vocabularySize of [75, 80, 200]) {
      const ids = vocabulary(train(texts, { vocabularySize }))
      expect(bertSpecialTokens.map((token) => ids[token])).toEqual([0, 1, 2, 3, 4])
      expect(Object.values(ids).sort((a, b) => a - b)).toEqual(
        Array.from({ length: Object.keys(ids).length }, (_, i) => i),
      )
      expect(Object.keys(ids).length).toBeLessThanOrEqual(vocabularySize)
    }
    expect(Object.keys(vocabulary(train(texts, { vocabularySize: 80 }))).length).toBe(80)
  })

  test('seen texts have no unknown token and read back as their words', async () => {
    const json = train(texts, { vocabularySize: 160 })
    const tokenizer = await tokenizerFrom(json)
    for (const text of sentences) {
      const spans = tokenizer.tokens(text)
      expect(spans.map(({ token }) => token)).not.toContain('[UNK]')
      const normal = { cleanText: true, handleChineseChars: true, stripAccents: true, lowercase: true }
      const read = spans.map(({ token }) => token.replace(/^##|<\/w>$/, '')).join('')
      expect(read).toBe(bertWords(bertNormalize(text, normal)).join(''))
      expect(spans.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text.replace(/\s/g, ''))
    }
    expect([...tokenizer.encode('book a table', 9)].at(0)).toBe(2)
    expect([...tokenizer.encode('book a table', 9)].at(-1)).toBe(3)
  })

  test('frequent words become one token', async () => {
    const tokenizer = await tokenizerFrom(train(texts, { vocabularySize: 300 }))
    expect(tokenizer.tokens('book table flight').length).toBe(3)
  })

  test('equal texts give equal files, whatever the order of first sight', () => {
    const json = JSON.stringify(train(texts))
    expect(JSON.stringify(train([...texts]))).toBe(json)
    expect(JSON.stringify(train([...texts].reverse()))).toBe(json)
  })

  test('lower case can be kept; rare characters can be left out', async () => {
    const cased = await tokenizerFrom(train(texts, { lowercase: false, vocabularySize: 200 }))
    expect(cased.tokens('Paris')[0]!.token.startsWith('P')).toBe(true)
    const small = await tokenizerFrom(train(texts, { maxAlphabet: 10 }))
    expect(small.tokens('😀')[0]!.token).toBe('[UNK]')
  })

  test('no words: a typed error', () => {
    for (const nothing of [[], ['', '  \n']])
      expect(() => train(nothing)).toThrow(expect.objectContaining({ code: 'TEXTS_EMPTY' }))
  })

  test('any texts at all train and encode', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'binary', maxLength: 20 }), { maxLength: 10 }), async (input) => {
        const tokenizer = await tokenizerFrom(train(['seed word', ...input], { vocabularySize: 50 }))
        for (const text of input)
          for (const id of tokenizer.encode(text, 16)) expect(id >= 0 && id < tokenizer.vocabularySize).toBe(true)
      }),
      { numRuns: 100 },
    )
  })
})
