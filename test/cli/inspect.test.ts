import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure, repository } from './espalier.ts'
import { csv, jsonl, labelsJson, tickets } from './tickets.ts'

const { folder, write } = temporaryFolder()
const fixtures = join(repository, 'test/fixtures/checkpoints')

describe('inspect', () => {
  it('describes data: rows, labels, lengths, repetitions, the tree', async () => {
    const file = write('twice.jsonl', jsonl([...tickets, tickets[0], { ...tickets[1], labels: [['app', 'login']] }]))
    expect(await document(['inspect', file])).toMatchObject({
      kind: 'data',
      rows: 98,
      repeated: 2,
      contradictory: 1,
      unlabelled: 0,
      multiLabel: 0,
      tree: {
        labels: 6,
        leaves: 4,
        levels: [
          { level: 1, labels: 2 },
          { level: 2, labels: 4 },
        ],
      },
    })
    const { stdout, stderr, status } = await espalier(['inspect', file])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^rows +98$/m)
    expect(stdout).toMatch(/^├─ app +49$/m)
  })

  it('reads columns as told', async () => {
    const file = write('tickets.csv', csv(tickets))
    const { tree } = await document(['inspect', file, '--text', 'body', '--labels-column', 'area,topic'])
    expect(tree).toMatchObject({ labels: 6, leaves: 4 })
    expect(await failure(['inspect', file, '--text', 'bdy'])).toMatchObject({
      code: 'COLUMN_MISSING',
      help: 'did you mean "body"?',
    })
  })

  it('describes a label tree', async () => {
    const file = write('labels.json', labelsJson)
    expect(await document(['inspect', file])).toMatchObject({ kind: 'labels', labels: 6, leaves: 4, isTree: true })
    const { stdout } = await espalier(['inspect', file])
    expect(stdout).toMatch(/6 labels in 2 levels: 2 › 4/)
    expect(stdout).toContain('├─ app\n│  ├─ crash\n│  └─ login\n')
  })

  it('describes checkpoints, single and sharded, from their headers', async () => {
    const single = await document(['inspect', join(fixtures, 'tiny-bert')])
    expect(single).toMatchObject({ kind: 'checkpoint', tensors: 41, parameters: 1643, bytes: 6572 })
    const sharded = await document(['inspect', join(fixtures, 'tiny-bert-sharded')])
    expect(sharded).toMatchObject({ kind: 'checkpoint', tensors: 41, parameters: 1643 })
    expect(sharded.files).toHaveLength(2)
    const { stdout } = await espalier(['inspect', join(fixtures, 'tiny-bert')])
    expect(stdout).toMatch(/^model +bert · BertForSequenceClassification · 2 layers$/m)
    expect(stdout).toMatch(/^labels +3 labels: no, maybe, yes$/m)
    expect(await document(['inspect', join(fixtures, 'tiny-lora')])).toMatchObject({ kind: 'adapter' })
    expect((await espalier(['inspect', join(fixtures, 'tiny-lora')])).stdout).toMatch(/^rank +\d+, alpha /m)
  })

  it('says which files a folder of splits holds', async () => {
    const splits = join(folder, 'splits')
    mkdirSync(splits)
    write('splits/train.jsonl', jsonl(tickets))
    write('splits/test.jsonl', jsonl(tickets))
    const error = await failure(['inspect', splits])
    expect(error).toMatchObject({ code: 'INSPECT_WHICH', where: { file: splits } })
    expect(error.help).toContain(join(splits, 'train.jsonl'))
  })

  it('shows no control characters of the data', async () => {
    const file = write('escapes.jsonl', jsonl([{ text: 'a\u001b[2Jb', labels: [['x\u001b]0;t\u0007', 'y']] }]))
    const { stdout } = await espalier(['inspect', file])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must be absent
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f]/)
    expect(stdout).toContain('a [2Jb')
  })
})
