import { spawn } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure, main } from './espalier.ts'
import { csv, jsonl, tickets, trainedModel } from './tickets.ts'

const { folder, write } = temporaryFolder()
let model = ''
beforeAll(async () => {
  model = await trainedModel(folder, write)
})

describe('predict', () => {
  it('answers texts of the command line, in order', async () => {
    const { status, stdout, stderr } = await espalier(['predict', model, 'where is my refund', 'please fix the crash'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const [first, second, ...rest] = stdout.trimEnd().split('\n')
    expect(first).toMatch(/^"where is my refund" → billing › refund [01]\.\d\d$/)
    expect(second).toMatch(/^"please fix the crash" → app › crash [01]\.\d\d$/)
    expect(rest).toEqual([])
  })

  it('--json gives paths with probabilities, --top-k the alternatives', async () => {
    const { multiLabel, predictions } = await document(['predict', model, 'where is my refund', '--top-k', '3'])
    expect(multiLabel).toBe(false)
    expect(predictions).toHaveLength(1)
    const [answer] = predictions
    expect(answer).toMatchObject({ text: 'where is my refund', path: ['billing', 'refund'] })
    expect(answer.confidence).toHaveLength(2)
    expect(answer.confidence[0]).toBeGreaterThanOrEqual(answer.confidence[1])
    expect(answer.paths).toEqual([{ path: answer.path, confidence: answer.confidence }])
    expect(answer.top).toHaveLength(3)
    expect(answer.top[0].path).toEqual(['billing', 'refund'])
  })

  it('reads lines of a pipe, and passes over empty ones', async () => {
    const { stdout } = await espalier(['predict', model], { input: 'my refund\r\n\n  \nthe crash' })
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' → ')[0]),
    ).toEqual(['"my refund"', '"the crash"'])
  })

  it('reads data files with and without labels, and JSONL on standard input', async () => {
    const file = write('rows.csv', csv(tickets.slice(0, 5)))
    const fromFile = await document(['predict', model, '--input', file, '--text', 'body'])
    expect(fromFile.predictions.map(({ text }: { text: string }) => text)).toEqual(
      tickets.slice(0, 5).map(({ text }) => text),
    )
    const input = jsonl([{ text: 'my refund', id: 'r-1' }])
    const { stdout } = await espalier(['predict', model, '--input', '-', '--jsonl'], { input })
    expect(JSON.parse(stdout)).toMatchObject({ id: 'r-1', text: 'my refund', path: ['billing', 'refund'] })
  })

  it('--jsonl prints one object a line for many rows, the same answers in any batch', async () => {
    const many = write('many.jsonl', jsonl(Array.from({ length: 3000 }, (_, i) => tickets[i % tickets.length]!)))
    const { status, stdout } = await espalier(['predict', model, '--input', many, '--jsonl'])
    expect(status).toBe(0)
    const answers = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(answers).toHaveLength(3000)
    expect(answers[2900]).toEqual(answers[2900 % tickets.length])
  })

  it('stops early, or says nothing, where it is not sure enough', async () => {
    const { predictions } = await document(['predict', model, 'zebra', '--min-confidence', '1'])
    expect(predictions[0].path.length).toBeLessThan(2)
    const { stdout } = await espalier(['predict', model, 'zebra', '--min-confidence', '1'])
    expect(stdout).toMatch(/^"zebra" → (no label is sure enough|\w+ 1\.00)$/m)
  })

  it('ends quietly when the reader of its output goes away', async () => {
    const rows = write('pipe.jsonl', jsonl(Array.from({ length: 20_000 }, () => tickets[0]!)))
    const child = spawn(process.execPath, [main, 'predict', model, '--input', rows, '--jsonl'])
    let errors = ''
    child.stderr.on('data', (chunk) => {
      errors += chunk
    })
    child.stdout.once('data', () => child.stdout.destroy())
    const status = await new Promise((resolve) => child.on('close', resolve))
    expect({ status, errors }).toEqual({ status: 0, errors: '' })
  })

  it('refuses what it cannot answer', async () => {
    expect(await failure(['predict', model], { input: '\n \n' })).toMatchObject({ code: 'DATA_EMPTY' })
    expect(await failure(['predict', model, '   '])).toMatchObject({ code: 'TEXT_EMPTY' })
    expect(await failure(['predict', 'no-model', 'text'])).toMatchObject({
      code: 'ENOENT',
      where: { file: 'no-model' },
    })
    expect(await failure(['predict', folder, 'text'])).toMatchObject({ code: 'MODEL_FORMAT' })
  })
})
