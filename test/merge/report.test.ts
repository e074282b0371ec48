/** The report before a merge: its numbers against the definition, and its page. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { planMerge } from '../../src/merge/merge.ts'
import { taskArithmetic } from '../../src/merge/methods/index.ts'
import { mergeReport } from '../../src/merge/report/merge-report.ts'
import { renderMergeReport } from '../../src/merge/report/render-merge-report.ts'
import { smallValues, writeSmallModel } from './checkpoints.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-merge-report-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('measures each layer of each model as defined', async () => {
  const sizes = [0, 1, 2].map((seed) => ({ seed, dtype: 'F64' as const }))
  const [base, a, b] = await Promise.all(sizes.map((size) => writeSmallModel(join(folder, `m${size.seed}`), size)))
  const report = await mergeReport(await planMerge([a!, b!], { base: base!, method: taskArithmetic() }))
  expect(report.rows.map(({ name }) => name)).toEqual(['before the layers', 'layer 0', 'layer 1', 'after the layers'])
  expect(report.read).toBe(report.elements)
  const layer = (seed: number) =>
    [...smallValues({ seed })].flatMap(([name, { values }]) => (name.includes('.layer.1.') ? [...values] : []))
  const [v0, va, vb] = [0, 1, 2].map(layer) as [number[], number[], number[]]
  const changes = [va, vb].map((values) => values.map((x, i) => x - v0[i]!))
  const mean = v0.map((_, i) => (changes[0]![i]! + changes[1]![i]!) / 2)
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0)
  const total = (x: number[]) => x.reduce((sum, value) => sum + Math.abs(value), 0)
  for (const [t, change] of changes.entries()) {
    const cell = report.rows[2]!.cells[t]!
    expect(cell.cosine).toBeCloseTo(dot(change, mean) / Math.sqrt(dot(change, change) * dot(mean, mean)), 10)
    expect(cell.conflict).toBeCloseTo(total(change.filter((x, i) => x * mean[i]! < 0)) / total(change), 10)
    expect(cell.change).toBeCloseTo(Math.sqrt(dot(change, change) / dot(v0, v0)), 10)
  }
})

it('renders as a page without scripts or links from elsewhere, names escaped', () => {
  const page = renderMergeReport({
    method: 'ties',
    models: [{ key: '<a>', label: 'models/<a>' }],
    origin: 'base',
    read: 10,
    elements: 40,
    rows: [{ name: 'layer 0', elements: 40, cells: [{ conflict: 0.21, cosine: -0.5, change: 0.01 }] }],
  })
  expect(page).toContain('25.0 % of the elements read')
  expect(page).toContain('&lt;a&gt;')
  expect(page).not.toContain('<a>')
  expect(page).not.toMatch(/https?:\/\//)
})
