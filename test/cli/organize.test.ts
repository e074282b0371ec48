import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier } from './espalier.ts'

const { folder } = temporaryFolder()

it('combines two columns of labels into one set with splits, tree and report', async () => {
  const rows = Array.from({ length: 90 }, (_, i) => {
    const topic = i % 2 === 0 ? 'sea' : 'sky'
    const journal = i % 9 === 0 ? 'sky' : topic
    return JSON.stringify({ text: `${topic} text ${i} about ${topic} ${i * 7}`, journal, topic })
  })
  const data = join(folder, 'papers.jsonl')
  await writeFile(data, rows.join('\n'))
  const out = join(folder, 'clean')
  const command = ['organize', data, '--labels-column', 'journal', '--second-column', 'topic', '--out', out]
  const found = (await document(command)) as Record<string, unknown>
  expect(found).toMatchObject({ method: { name: 'htc-datasets' }, texts: { read: 90, kept: 85 } })
  expect(JSON.parse(await readFile(join(out, 'labels.json'), 'utf8')).children).toHaveLength(2)
  const again = await espalier(command)
  expect(again.status).toBe(2)
  expect(again.stderr).toContain('exists')
  const shown = await espalier([...command, '--force'])
  expect(shown.status).toBe(0)
  expect(shown.stdout).toContain('combined')
})
