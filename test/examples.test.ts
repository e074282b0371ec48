/** Every script under examples/ runs as its first lines say, against the built package, and prints what it promises. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from './temporary-folder.ts'

const examples = fileURLToPath(new URL('../examples', import.meta.url))
const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const { folder } = temporaryFolder()

/** Runs an example from a folder of its own and returns the lines that it prints. */
async function linesOf(name: string, ...args: string[]): Promise<string[]> {
  const command = ['--import', loader, join(examples, name), ...args]
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: folder })
  return stdout.trimEnd().split('\n')
}

test('train-and-predict', async () => {
  expect(await linesOf('train-and-predict.ts')).toEqual([
    '6 labels on 2 levels, 16 rows',
    'there is an error in the invoice → billing › invoice',
    'i forgot my password → app › login',
  ])
})

test('tickets-csv', async () => {
  const model = join(folder, 'model')
  const lines = await linesOf('tickets-csv.ts', model)
  expect(lines.slice(0, 2)).toEqual([
    'level 1: app, billing, delivery',
    'level 2: crash, login, charge, invoice, refund, address, status',
  ])
  expect(lines.slice(2).map((line) => line.split('   (')[0])).toEqual([
    'the invoice has no tax number → billing › invoice',
    'where is the parcel, tracking does not move → delivery › status',
    'the app crashes since the update → app › crash',
    `the model is in ${model}`,
  ])
  expect(readdirSync(model)).toEqual(expect.arrayContaining(['espalier.json', 'labels.json', 'model.safetensors']))
})

test('multi-label', async () => {
  const lines = await linesOf('multi-label.ts')
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatch(/ → (?=.*food › taste \([01]\.\d\d\))(?=.*service › staff \([01]\.\d\d\))/)
  expect(lines[1]).toContain('food › taste')
  expect(lines[2]).toMatch(/(?=.*service › speed)(?=.*food › portion)/)
})

test('evaluate-report', async () => {
  const page = join(folder, 'report.html')
  const lines = await linesOf('evaluate-report.ts', page)
  expect(lines[0]).toMatch(/^600 rows: whole path right 0\.[89]\d\d, hierarchical F1 0\.9\d\d, ECE 0\.\d{3}$/)
  expect(lines.slice(1, 3)).toEqual([
    expect.stringMatching(/^level 1: accuracy 0\.9/),
    expect.stringMatching(/^level 2: accuracy 0\.[89]/),
  ])
  expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>/i)
})

test('not-sure', async () => {
  const lines = await linesOf('not-sure.ts')
  const shares = lines.map((line) => [...line.matchAll(/(\d+) %/g)].map(([, share]) => Number(share)))
  expect(shares).toHaveLength(3)
  expect(shares[0]![0]).toBe(100)
  const [answered, right, refused] = [0, 1, 2].map((column) => shares.map((row) => row[column]!))
  expect(answered).toEqual([...answered!].sort((a, b) => b - a))
  expect(right).toEqual([...right!].sort((a, b) => a - b))
  expect(refused).toEqual([...refused!].sort((a, b) => a - b))
  expect(refused![2]).toBeGreaterThan(60)
})

test('progress-and-errors', async () => {
  const lines = await linesOf('progress-and-errors.ts')
  expect(lines[0]).toMatch(/^stopped after: read dev\.jsonl\.gz, \w/)
  expect(lines.slice(1)).toEqual([
    'LABEL_UNKNOWN: Label path not in the tree: "travel › translat"',
    'line 1; did you mean "travel › translate"?',
  ])
})

test('serve-client', async () => {
  const lines = await linesOf('serve-client.ts', join(folder, 'served'))
  expect(lines.map((line) => line.replace(/ [01]\.\d\d$/, ''))).toEqual(['billing › refund', 'app › crash'])
})

test('no example is left out', () => {
  const names = readdirSync(examples).filter((name) => name.endsWith('.ts'))
  const source = readFileSync(fileURLToPath(import.meta.url), 'utf8')
  expect(names.filter((name) => !source.includes(`linesOf('${name}'`))).toEqual([])
  for (const name of names) {
    const text = readFileSync(join(examples, name), 'utf8')
    expect(text).toContain(`npx tsx examples/${name}`)
    expect(text).toContain("from 'espalier'")
  }
  expect(existsSync(join(examples, 'tickets.csv'))).toBe(true)
})
