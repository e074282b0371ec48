import { expect, test, vi } from 'vitest'
import { faultOf, temporaryFolder } from '../../test/temporary-folder.ts'
import { readDataset } from './dataset.ts'

vi.mock('@duckdb/node-api', () => {
  throw new Error("Cannot find package '@duckdb/node-api'")
})
const { write } = temporaryFolder()

test('without the optional package, tables say what to install and JSONL is read', async () => {
  expect(await faultOf(() => readDataset(write('t.csv', 'text\na\n')))).toMatchObject({
    name: 'RunError',
    code: 'DEPENDENCY_MISSING',
    help: expect.stringContaining('npm install @duckdb/node-api'),
  })
  expect(await (await readDataset(write('t.jsonl', '{"text":"a"}\n'))).collect()).toHaveLength(1)
})
