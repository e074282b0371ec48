import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { padEnd, padStart, printable, textWidth, truncate, truncateMiddle, wrap } from './text-width.ts'

describe('text width', () => {
  it.each([
    ['', 0],
    ['abc', 3],
    ['日本', 4],
    ['한글', 4],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
    ['✖ ›', 3],
    ['naïve → ├─ …', 12],
    ['soft\u00adhyphen', 10],
    ['↔\ufe0f', 2],
    ['\x1b[31mred\x1b[39m', 3],
  ])('%j takes %i cells', (text, width) => {
    expect(textWidth(text)).toBe(width)
  })

  it('never cuts wider than asked, and never through a grapheme', () => {
    const graphemes = fc.array(fc.constantFrom('a', '日', 'e\u0301', '👩‍👩‍👧', ' ', '›'))
    fc.assert(
      fc.property(graphemes, fc.integer({ min: 1, max: 12 }), (parts, width) => {
        const text = parts.join('')
        for (const cut of [truncate(text, width), truncateMiddle(text, width)]) {
          expect(textWidth(cut)).toBeLessThanOrEqual(width)
          if (textWidth(text) <= width) expect(cut).toBe(text)
          else expect(cut).toContain('…')
          const kept = Array.from(new Intl.Segmenter().segment(cut.replace('…', '')), ({ segment }) => segment)
          for (const grapheme of kept) expect(parts).toContain(grapheme)
        }
      }),
    )
  })

  it('cuts the middle out so that both ends stay', () => {
    expect(truncateMiddle('auto_and_commute › tire_pressure', 15)).toBe('auto_an…ressure')
  })

  it('takes line ends and escape sequences out of what users wrote', () => {
    expect(printable('a\r\nb\x1b[2Jc\u2028')).toBe('a b [2Jc')
  })

  it('pads and wraps by cells', () => {
    expect(padEnd('日', 4)).toBe('日  ')
    expect(padStart('日', 4)).toBe('  日')
    expect(wrap('日本 日本 ab', 7)).toEqual(['日本', '日本 ab'])
    expect(wrap('unbreakable', 4)).toEqual(['unbreakable'])
  })
})
