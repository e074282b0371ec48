import { describe, expect, it } from 'vitest'
import { maskTokens } from './mask-tokens.ts'

const options = { share: 0.15, maskId: 4, vocabularySize: 1000, special: new Set([2, 3]) }
const text = (length: number) =>
  Int32Array.from({ length: length + 2 }, (_, i) => (i === 0 ? 2 : i > length ? 3 : 9 + i))

describe('maskTokens', () => {
  it('asks for the share of the tokens, never for special ones, and gives the answers', () => {
    const row = text(100)
    const { tokens, places, answers } = maskTokens(row, options, 1, 2)
    expect(places.length).toBe(15)
    for (const [i, place] of places.entries()) {
      expect(answers[i]).toBe(row[place])
      expect(place > 0 && place < 101).toBe(true)
    }
    const asked = new Set(places)
    for (const [place, token] of tokens.entries()) if (!asked.has(place)) expect(token).toBe(row[place])
  })

  it('asks for one token of a short text and for none of an empty one', () => {
    expect(maskTokens(text(1), options, 0).places).toEqual(Int32Array.of(1))
    expect(maskTokens(text(0), options, 0).places.length).toBe(0)
  })

  it('hides about 80 %, replaces about 10 % and leaves about 10 %', () => {
    let hidden = 0
    let kept = 0
    let all = 0
    for (let n = 0; n < 300; n++) {
      const row = text(100)
      const { tokens, places } = maskTokens(row, options, 'shares', n)
      for (const place of places) {
        all++
        if (tokens[place] === 4) hidden++
        else if (tokens[place] === row[place]) kept++
      }
    }
    // 4,500 draws: a standard deviation of 0.006 and 0.0045.
    expect(Math.abs(hidden / all - 0.8)).toBeLessThan(0.025)
    expect(Math.abs(kept / all - 0.1)).toBeLessThan(0.02)
  })

  it('is a function of the key', () => {
    expect(maskTokens(text(40), options, 5)).toEqual(maskTokens(text(40), options, 5))
    expect(maskTokens(text(40), options, 5).places).not.toEqual(maskTokens(text(40), options, 6).places)
  })
})
