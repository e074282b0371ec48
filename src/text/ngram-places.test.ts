import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../tensor/kernels/arena.ts'
import { defaultNgrams, NgramHasher } from './ngram-hasher.ts'
import { ngramPlaces, ngramText } from './ngram-places.ts'

const hasher = await NgramHasher.create(new Arena())

/** What the kernel finds: count and first place by hash. */
function fromKernel(text: string) {
  const found = hasher.hash(text)
  const { hashes, counts, starts, ends } = hasher.scratch
  const column = (address: number) => hasher.arena.u32(address, found).slice()
  const [h, c, s, e] = [hashes, counts, starts, ends].map(column)
  return new Map(Array.from(h!, (hash, i) => [hash, { count: c![i]!, start: s![i]!, end: e![i]! }]))
}

function agree(text: string): void {
  const kernel = fromKernel(text)
  const places = ngramPlaces(ngramText(text), defaultNgrams)
  expect([...places.keys()].sort()).toEqual([...kernel.keys()].sort())
  for (const [hash, ranges] of places) {
    const { count, start, end } = kernel.get(hash)!
    expect({ count: ranges.length, start: ranges[0]!.start, end: ranges[0]!.end }).toEqual({ count, start, end })
  }
}

test('finds the n-grams that the kernel finds, with as many places and the same first one', () => {
  for (const text of ['the cat the dog', '東京へ行く', 'a  b, c!', '', '   ', "don't 😀👩‍👩‍👧 don't", 'ﬁne ﬁne'])
    agree(text)
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), agree), { numRuns: 300 })
})

test('words are runs of letters, and single signs', () => {
  const words = ngramText("Don't  stop: 東京 👩‍👩‍👧!").words.map(({ text }) => text)
  expect(words).toEqual(['Don', "'", 't', 'stop', ':', '東', '京', '👩‍👩‍👧', '!'])
})

test('words are whole graphemes in order, without overlap', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      let before = 0
      for (const word of ngramText(text).words) {
        expect(word.start).toBeGreaterThanOrEqual(before)
        expect(word.end).toBeGreaterThan(word.start)
        before = word.end
      }
    }),
  )
})
