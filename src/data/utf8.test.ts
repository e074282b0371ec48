import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cutTail, decodeLine, invalidUtf8At } from './utf8.ts'

test('the first wrong byte is found', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'é', '€', '🌱'), maxLength: 40 }),
      fc.constantFrom([0xe9, 0x20], [0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x41], [0x80]),
      fc.string({ unit: fc.constantFrom('a', 'é', '🌱'), maxLength: 20 }),
      (before, wrong, after) => {
        const start = Buffer.from(before)
        expect(invalidUtf8At(Buffer.concat([start, Buffer.from(wrong), Buffer.from(after)]))).toBe(start.length)
        expect(invalidUtf8At(start)).toBe(-1)
      },
    ),
  )
})

test('a sequence cut by the end of a chunk is held back', () => {
  const bytes = Buffer.from('a🌱')
  expect([1, 2, 3, 4, 5].map((end) => cutTail(bytes, end))).toEqual([0, 1, 2, 3, 0])
  expect([...'aé€🌱'].map((character) => cutTail(Buffer.from(character)))).toEqual([0, 0, 0, 0])
})

test('the fault says byte, value and column', () => {
  const bytes = Buffer.from([0x63, 0xc3, 0xa9, 0x20, 0xe9, 0x21])
  expect(() => decodeLine(bytes, { file: 'x', line: 7 })).toThrow(
    expect.objectContaining({
      code: 'ENCODING',
      message: 'Byte 5 of the line, 0xE9, is not valid UTF-8',
      where: { file: 'x', line: 7, column: 4 },
    }),
  )
})
