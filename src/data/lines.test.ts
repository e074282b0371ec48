import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonElements } from './json-elements.ts'
import { type ByteLine, byteLines } from './lines.ts'

async function* chunksOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].sort((a, b) => a - b)
  let start = 0
  for (const end of ends) {
    yield bytes.subarray(start, end)
    start = end
  }
}

async function all(batches: AsyncIterable<ByteLine[]>): Promise<[number, string | undefined][]> {
  const lines: [number, string | undefined][] = []
  for await (const batch of batches)
    for (const { line, bytes } of batch) lines.push([line, bytes && Buffer.from(bytes).toString()])
  return lines
}

const text = fc.string({ unit: fc.constantFrom('a', 'é', '🌱', '\n', '\r', ' '), maxLength: 40 })
const cuts = fc.array(fc.nat(60), { maxLength: 12 })

test('lines do not depend on where chunks are cut', async () => {
  await fc.assert(
    fc.asyncProperty(text, cuts, async (content, at) => {
      const expected = content.split('\n').map((line, index) => [index + 1, line])
      if (expected.at(-1)![1] === '') expected.pop()
      expect(await all(byteLines(chunksOf(Buffer.from(content), at), 1000))).toEqual(expected)
    }),
  )
})

test('a cut at every byte', async () => {
  const bytes = Buffer.from('{"text":"é🌱"}\n\nlast')
  for (let at = 0; at <= bytes.length; at++)
    expect(await all(byteLines(chunksOf(bytes, [at]), 1000))).toEqual([
      [1, '{"text":"é🌱"}'],
      [2, ''],
      [3, 'last'],
    ])
})

test('a line beyond the limit has no bytes; those after it are read', async () => {
  const content = Buffer.from(`ab\n${'x'.repeat(100)}\ncd\n${'y'.repeat(50)}`)
  for (const cut of [0, 3, 10, 60, 103, 104])
    expect(await all(byteLines(chunksOf(content, [cut]), 20))).toEqual([
      [1, 'ab'],
      [2, undefined],
      [3, 'cd'],
      [4, undefined],
    ])
})

test('a list is split into its elements wherever chunks are cut and however it is laid out', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 6 }),
      fc.nat(3),
      cuts,
      async (list, indent, at) => {
        const content = JSON.stringify(list, null, indent)
        const elements = await all(jsonElements(chunksOf(Buffer.from(content), at), 10_000, 'x.json'))
        expect(elements.map(([, element]) => JSON.parse(element!))).toEqual(JSON.parse(content))
        if (indent > 0) {
          const starts: number[] = []
          for (const [index, line] of content.split('\n').entries())
            if (line.startsWith(' '.repeat(indent)) && !/^ *[\]}]/.test(line) && line[indent] !== ' ')
              starts.push(index + 1)
          expect(elements.map(([line]) => line)).toEqual(starts)
        }
      },
    ),
  )
})

test('an element beyond the limit has no bytes; those after it are read', async () => {
  const content = Buffer.from(`[{"a":1},\n{"b":"${'x'.repeat(100)}"},\n{"c":2}]`)
  for (const cut of [0, 5, 30, 110, content.length])
    expect(await all(jsonElements(chunksOf(content, [cut]), 20, 'x.json'))).toEqual([
      [1, '{"a":1}'],
      [2, undefined],
      [3, '{"c":2}'],
    ])
})
