import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { appendTrainLog, readTrainLog, rewindTrainLog } from './train-log.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-log-'))
  file = join(folder, 'train-log.jsonl')
})
afterEach(() => rm(folder, { recursive: true }))

const first = { step: 10, epoch: 0.5, loss: 2.25, learningRate: 1e-4, gradientNorm: 3, rowsPerSecond: 120 }
const second = { step: 20, epoch: 1, loss: 1.5, dev: { exactPath: 0.75 } }

test('what is appended is read back', async () => {
  expect(await readTrainLog(file)).toEqual([])
  await appendTrainLog(file, first)
  await appendTrainLog(file, second)
  expect(await readTrainLog(file)).toEqual([first, second])
})

test('a last line cut at any byte is left out, and the next line takes its place', async () => {
  const whole = `${JSON.stringify(first)}\n${JSON.stringify(second)}\n`
  const start = whole.indexOf('\n') + 1
  for (let cut = start; cut < whole.length; cut++) {
    await writeFile(file, whole.slice(0, cut))
    expect(await readTrainLog(file)).toEqual([first])
    await rewindTrainLog(file, 20)
    await appendTrainLog(file, second)
    expect(await readTrainLog(file)).toEqual([first, second])
  }
})

test('rewinding drops later entries and garbage, and leaves a missing file missing', async () => {
  await rewindTrainLog(file, 5)
  expect(await readTrainLog(file)).toEqual([])
  await appendTrainLog(file, first)
  await appendTrainLog(file, second)
  await rewindTrainLog(file, 19)
  expect(await readFile(file, 'utf8')).toBe(`${JSON.stringify(first)}\n`)
  await writeFile(file, 'not json\n')
  expect(await readTrainLog(file)).toEqual([])
})
