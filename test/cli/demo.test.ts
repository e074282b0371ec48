/** The demo, whole, without a terminal. */
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { espalier, failure, filesBelow, main } from './espalier.ts'

const { folder, write } = temporaryFolder()

it('trains, measures and answers on the bundled data, and replaces what it wrote', async () => {
  const { status, stdout, stderr } = await espalier(['demo'], { cwd: folder })
  expect(status, stderr).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toBe('espalier demo · CLINC150: 15,000 queries, 10 domains › 150 intents')
  expect(stdout).toMatch(/^✔ label tree +160 labels, 2 levels, every leaf has 100 rows$/m)
  expect(stdout).toMatch(/^✔ train ngram +15,000 rows .* dev path 0\.\d\d$/m)
  expect(stdout).toMatch(/^✔ evaluate test +4,500 rows +path 0\.\d\d +domain 0\.\d\d +hF 0\.\d\d +ECE 0\.\d\d$/m)
  expect(stdout).toMatch(/^worst siblings +\w+ ↔ \w+ \(\d+\)/m)
  expect(stdout).toContain('"check tire pressure" → auto_and_commute › tire_pressure')
  expect(lines.every((line) => line.length <= 80 || line.includes(main))).toBe(true)
  expect(existsSync(join(folder, 'demo-out/model/model.safetensors'))).toBe(true)
  const page = readFileSync(join(folder, 'demo-out/report.html'), 'utf8')
  expect(page).toContain('tire_pressure')
  const before = statSync(join(folder, 'demo-out/report.html')).mtimeMs

  const again = await espalier(['demo', '--json'], { cwd: folder })
  expect(again.status, again.stderr).toBe(0)
  const result = JSON.parse(again.stdout)
  expect(result.metrics.exactPath).toBeGreaterThan(0.9)
  expect(result.predictions[0].path).toEqual(['auto_and_commute', 'tire_pressure'])
  expect(statSync(join(folder, 'demo-out/report.html')).mtimeMs).toBeGreaterThan(before)
  expect(filesBelow(join(folder, 'demo-out')).filter((name) => !name.startsWith('model'))).toEqual([
    'espalier.json',
    'report.html',
  ])
}, 180_000)

it('does not touch a demo-out that is not its own', async () => {
  const other = join(folder, 'other')
  mkdirSync(join(other, 'demo-out'), { recursive: true })
  write('other/demo-out/mine.txt', 'mine')
  expect(await failure(['demo'], { cwd: other })).toMatchObject({ code: 'OUT_EXISTS', where: { file: 'demo-out' } })
  expect(filesBelow(join(other, 'demo-out'))).toEqual(['mine.txt'])
})
