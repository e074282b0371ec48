import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { facts, table } from './table.ts'
import { textWidth } from './text-width.ts'

describe('table', () => {
  it('aligns columns by display width', () => {
    const lines = table(
      [{ head: 'label' }, { head: 'rows', align: 'right' }],
      [
        ['日本', '7'],
        ['travel', '1,200'],
      ],
      80,
    )
    expect(lines).toEqual(['label    rows', '日本        7', 'travel  1,200'])
  })

  it('fits any width that its flexible columns can give way to', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 60 })),
        ),
        fc.integer({ min: 25, max: 80 }),
        (rows, width) => {
          const lines = table(
            [{ flexible: true }, { flexible: true }, { align: 'right' }],
            rows.map(([a, b]) => [a, b, '1,234']),
            width,
          )
          expect(lines).toHaveLength(rows.length)
          for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(width)
        },
      ),
    )
  })
})

it('facts stand in one column, further values below', () => {
  const entries = [
    ['model', 'out'],
    ['next', ['a', 'b']],
  ] as const
  expect(facts(entries, (name) => name)).toEqual(['model  out', 'next   a', '       b'])
  const long = facts([['what', 'a value that does not fit one line']], (name) => name, 30)
  expect(long).toEqual(['what  a value that does not', '      fit one line'])
})
