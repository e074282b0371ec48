/** Rows that cannot be used: refused by default, left out and counted where the command line says so. */
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure } from './espalier.ts'
import { jsonl, tickets, trainedModel } from './tickets.ts'

const { folder, write } = temporaryFolder()
const other = temporaryFolder()
const blank = '{"text": "  ", "labels": [["app", "login"]]}\n'
const withBlank = write('blank.jsonl', jsonl(tickets) + blank)
const withFault = write('fault.jsonl', `${jsonl(tickets)}${blank}{"text": 5}\n`)

describe('rows that cannot be used', () => {
  it('are left out of training, measuring and predicting as told, with a remark', async () => {
    const model = join(folder, 'model')
    expect(await failure(['train', withBlank, '--out', model])).toMatchObject({ code: 'TEXT_EMPTY' })
    const { status, stderr } = await espalier(['train', withBlank, '--out', model, '--empty-text', 'skip'])
    expect(status, stderr).toBe(0)
    expect(stderr.match(/1 row/g)).toHaveLength(1)
    for (const verb of [
      ['evaluate', model, withBlank],
      ['predict', model, '--input', withBlank],
    ]) {
      const result = await espalier([...verb, '--empty-text', 'skip'])
      expect(result).toMatchObject({ status: 0, stderr: expect.stringContaining('1 row') })
    }
  })

  it('skips empty texts only, unless all faulty rows are to be left out', async () => {
    expect(await failure(['inspect', withFault, '--empty-text', 'skip'])).toMatchObject({ code: 'TEXT_TYPE' })
    expect(await document(['inspect', withFault, '--bad-rows', 'skip'])).toMatchObject({ rows: tickets.length })
  })
})

describe('links and folders', () => {
  it('says what is wrong with a link that leads nowhere', async () => {
    symlinkSync('nowhere', join(folder, 'dangling.jsonl'))
    symlinkSync('loop.jsonl', join(folder, 'loop.jsonl'))
    const dangling = await failure(['inspect', join(folder, 'dangling.jsonl')])
    expect(dangling).toMatchObject({ code: 'ENOENT' })
    expect(dangling.help).not.toContain('dangling')
    expect(await failure(['inspect', join(folder, 'loop.jsonl')])).toMatchObject({ code: 'ELOOP', exitCode: 2 })
  })

  it('never takes an empty --out for the current folder', async () => {
    const cwd = join(folder, 'here')
    mkdirSync(cwd)
    const file = join(cwd, 'data.jsonl')
    cpSync(write('data.jsonl', jsonl(tickets)), file)
    for (const force of [[], ['--force']])
      expect((await espalier(['train', 'data.jsonl', '--out', '', ...force], { cwd })).status).toBe(2)
    expect(readFileSync(file, 'utf8')).toBe(jsonl(tickets))
  })

  it('describes a model without its record', async () => {
    const model = join(folder, 'bare')
    cpSync(await trainedModel(other.folder, other.write), model, { recursive: true })
    rmSync(join(model, 'espalier.json'))
    expect(await document(['inspect', model])).toMatchObject({ kind: 'classifier', record: {} })
  })
})
