import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { faultOf, temporaryFolder } from '../../test/temporary-folder.ts'
import { datasetOf, readDataset } from './dataset.ts'
import { writeJsonl } from './write-jsonl.ts'

const { folder } = temporaryFolder()

test('rows survive a round trip, plain and compressed', async () => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => text.trim() === text && text !== '')
  const row = fc.record({
    text: name,
    labels: fc.uniqueArray(fc.array(name, { minLength: 1, maxLength: 3 }), { selector: String, maxLength: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 10 }),
      fc.constantFrom('r.jsonl', 'r.jsonl.gz'),
      async (rows, file) => {
        const path = join(folder, file)
        expect(await writeJsonl(path, rows)).toBe(rows.length)
        const read = await (await readDataset(path)).collect()
        expect(read.map(({ text, labels }) => ({ text, labels }))).toEqual(rows)
      },
    ),
    { numRuns: 40 },
  )
})

test('many rows from a data set, streamed; the same rows give the same bytes', async () => {
  const rows = Array.from({ length: 20_000 }, (_, index) => ({
    text: `text ${index}`,
    labels: [['a', `b${index % 10}`]],
    id: index,
  }))
  const [one, two] = [join(folder, 'one.jsonl.gz'), join(folder, 'two.jsonl.gz')]
  expect(await writeJsonl(one, datasetOf(rows))).toBe(20_000)
  await writeJsonl(two, await readDataset(one))
  expect(readFileSync(one).equals(readFileSync(two))).toBe(true)
})

test('a failure leaves the old file and nothing else', async () => {
  const path = join(folder, 'kept.jsonl')
  await writeJsonl(path, [{ text: 'old', labels: [] }])
  const before = readFileSync(path, 'utf8')
  for (const file of [path, `${path}.gz`])
    expect(await faultOf(() => writeJsonl(file, datasetOf([{ text: 'new' }, { text: '' }])))).toMatchObject({
      code: 'TEXT_EMPTY',
    })
  expect(readFileSync(path, 'utf8')).toBe(before)
  expect(readdirSync(folder).filter((name) => name.includes('kept'))).toEqual(['kept.jsonl'])
})
