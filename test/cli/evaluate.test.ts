import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure } from './espalier.ts'
import { jsonl, tickets, trainedModel } from './tickets.ts'

const { folder, write } = temporaryFolder()
const test = write('test.jsonl', jsonl(tickets.filter((_, index) => index % 3 === 0)))
let model = ''
beforeAll(async () => {
  model = await trainedModel(folder, write)
})

describe('evaluate', () => {
  it('--json gives every metric', async () => {
    const result = await document(['evaluate', model, test])
    expect(result).toMatchObject({
      n: 32,
      microF1: expect.any(Number),
      macroF1: expect.any(Number),
      leafAccuracy: expect.any(Number),
      exactPath: expect.any(Number),
      hierarchical: { precision: expect.any(Number), recall: expect.any(Number), f1: expect.any(Number) },
      pathConstrained: { microF1: expect.any(Number), macroF1: expect.any(Number) },
      precisionAt: { 1: expect.any(Number), 3: expect.any(Number), 5: expect.any(Number) },
      ndcgAt: { 3: expect.any(Number), 5: expect.any(Number) },
      ece: expect.any(Number),
    })
    expect(result.levels.map((level: { level: number }) => level.level)).toEqual([1, 2])
    expect(result.levels[0]).toMatchObject({ accuracy: expect.any(Number), microF1: expect.any(Number) })
    expect(result.perLabel).toHaveLength(6)
    // The rows were trained on.
    expect(result.exactPath).toBeGreaterThan(0.9)
    expect(result.inputs).toMatchObject([{ path: test, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }])
  })

  it('says the same to people, and writes a page', async () => {
    const page = join(folder, 'pages/report.html')
    const { status, stdout, stderr } = await espalier(['evaluate', model, test, '--report', page])
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(/^rows +32$/m)
    expect(stdout).toMatch(/^path +exact [01]\.\d{3}/m)
    expect(stdout).toContain(`report        ${page}`)
    const html = readFileSync(page, 'utf8')
    expect(html).toMatch(/^<!doctype html>/i)
    expect(html).toContain('invoice')
    expect(html).not.toMatch(/(?:src|href)="https?:/)
  })

  it('cuts uncertain paths, and counts rows whose label it does not know when asked', async () => {
    const cut = await document(['evaluate', model, test, '--min-confidence', '1'])
    expect(cut.abstained).toBeGreaterThan(0)
    const more = write('more.jsonl', jsonl([...tickets, { text: 'new', labels: [['app', 'other']] }]))
    expect(await failure(['evaluate', model, more])).toMatchObject({
      code: 'LABEL_UNKNOWN',
      where: { file: more, line: 97 },
    })
    expect(await document(['evaluate', model, more, '--unknown-labels', 'skip'])).toMatchObject({ n: 96 })
  })

  it('needs labels', async () => {
    const bare = write('bare.jsonl', jsonl([{ text: 'no label here' }]))
    expect(await failure(['evaluate', model, bare])).toMatchObject({ code: 'COLUMN_MISSING' })
  })
})
