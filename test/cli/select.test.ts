import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier } from './espalier.ts'

const { folder } = temporaryFolder()

it('draws as many rows of every path, and others for development', async () => {
  const rows = ['card', 'loan', 'visa'].flatMap((leaf) =>
    Array.from({ length: 12 }, (_, i) => JSON.stringify({ text: `${leaf} question ${i}`, labels: [['bank', leaf]] })),
  )
  const data = join(folder, 'rows.jsonl')
  await writeFile(data, rows.join('\n'))
  const [out, dev] = [join(folder, 'few.jsonl'), join(folder, 'dev.jsonl')]
  const command = ['select', data, '--few-shot', 'paths', '--k', '3', '--out', out, '--dev-out', dev]
  expect(await document(command)).toMatchObject({ read: 36, train: 9, dev: 9, k: 3, short: [] })
  const lines = (await readFile(out, 'utf8')).trim().split('\n')
  for (const leaf of ['card', 'loan', 'visa'])
    expect(lines.filter((line) => line.includes(`"${leaf}"`))).toHaveLength(3)
  const again = await espalier(command)
  expect(again.status).toBe(2)
  expect(again.stderr).toContain('exists')
})
