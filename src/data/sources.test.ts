import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { faultOf, temporaryFolder } from '../../test/temporary-folder.ts'
import { expandSources, findSplits } from './sources.ts'

const { folder, write } = temporaryFolder()
const at = (...names: string[]) => names.map((name) => join(folder, name))

beforeAll(() => {
  for (const name of ['parts', 'parts/deep', 'set', 'empty']) mkdirSync(join(folder, name))
  for (const name of ['b.jsonl', 'a.csv', 'c.jsonl.gz', 'labels.json', 'README.md', '.hidden.jsonl', 'deep/d.jsonl'])
    write(join('parts', name), 'x')
  for (const name of ['train.jsonl.gz', 'dev.csv', 'test.jsonl.gz', 'oos_test.jsonl.gz', 'labels.json'])
    write(join('set', name), 'x')
})

test('a folder gives its data files, sorted; JSON files, hidden ones and folders below are left out', async () => {
  expect(await expandSources(join(folder, 'parts'))).toEqual(at('parts/a.csv', 'parts/b.jsonl', 'parts/c.jsonl.gz'))
})

test('patterns', async () => {
  const expand = (pattern: string) => expandSources(join(folder, pattern))
  expect(await expand('parts/*.jsonl*')).toEqual(at('parts/b.jsonl', 'parts/c.jsonl.gz'))
  expect(await expand('parts/{a,b}.*')).toEqual(at('parts/a.csv', 'parts/b.jsonl'))
  expect(await expand('p*s/?.csv')).toEqual(at('parts/a.csv'))
  expect(await expand('**/d.jsonl')).toEqual(at('parts/deep/d.jsonl'))
  expect(await expand('**/*.jsonl')).toEqual(at('parts/b.jsonl', 'parts/deep/d.jsonl'))
})

test('lists keep their order; a file named twice is read once; standard input stays', async () => {
  const [a, b] = at('parts/a.csv', 'parts/b.jsonl')
  expect(await expandSources([b!, '-', a!, b!, join(folder, 'parts/a*')])).toEqual([b, '-', a])
})

test('a folder with train and test side by side is refused; its splits can be found', async () => {
  const fault = await faultOf(() => expandSources(join(folder, 'set')))
  expect(fault).toMatchObject({ code: 'FOLDER_SPLITS', exitCode: 2, help: expect.stringContaining('train.jsonl.gz') })
  const [train, dev, test, labels] = at('set/train.jsonl.gz', 'set/dev.csv', 'set/test.jsonl.gz', 'set/labels.json')
  expect(await findSplits(join(folder, 'set'))).toEqual({ train, dev, test, labels })
})

test.each([
  ['a name that is nearly right', 'parts/bb.jsonl', 'ENOENT', 'did you mean "b.jsonl"?'],
  ['a name that is not there', 'parts/nothing-like-it.tsv', 'ENOENT', 'check the path'],
  ['a folder that is not there', 'nowhere/a.csv', 'ENOENT', 'check the path'],
  ['a pattern without matches', 'parts/*.tsv', 'NO_FILES', undefined],
  ['a folder without data', 'empty', 'NO_FILES', undefined],
])('%s', async (_, name, code, help) => {
  const path = join(folder, name)
  const fault = await faultOf(() => expandSources(path))
  expect(fault).toMatchObject({ code, exitCode: 2, where: { file: path } })
  if (help !== undefined) expect(fault.help).toBe(help)
})

test('no source at all', async () => {
  expect(await faultOf(() => expandSources([]))).toMatchObject({ code: 'NO_FILES' })
})
