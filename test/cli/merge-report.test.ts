/** `merge --plan --report`: the page stands where it was asked for, and its map shows the numbers of the JSON document. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { writeSmallModel } from '../merge/checkpoints.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure, filesBelow, type Json } from './espalier.ts'

const { folder, write } = temporaryFolder()
const at = (name: string) => join(folder, name)

beforeAll(async () => {
  for (const [seed, name] of ['base', 'news', 'reviews'].entries()) await writeSmallModel(at(name), { seed, layers: 3 })
  write(
    'recipe.yml',
    'merge_method: ties\nbase_model: base\nmodels:\n  - model: news\n  - model: reviews\nparameters: { density: 0.5 }\n',
  )
})

/** The cells of the map, row by row, as the page spells them out. */
function cellsOf(page: string): { row: string; model: string; conflict: number; cosine: number; change: number }[] {
  const pattern =
    /data-text="([^"]+) of ([^"]+): ([\d.]+) % of its change against the mean, cosine (-?[\d.]+), change ([\d.]+) % of the weights"/g
  return [...page.matchAll(pattern)].map(([, row, model, conflict, cosine, change]) => ({
    row: row!,
    model: model!,
    conflict: Number(conflict) / 100,
    cosine: Number(cosine),
    change: Number(change) / 100,
  }))
}

describe('the report', () => {
  it('is a page with a map of layers and models, whose numbers are those of --json', async () => {
    const { report, conflicts } = await document([
      ...['merge', at('recipe.yml'), '--plan', '--report', at('report.html')],
    ])
    expect(conflicts).toEqual([])
    const page = readFileSync(at('report.html'), 'utf8')
    expect(page).toMatch(/^<!doctype html>/)
    expect(page).toContain('Before merging by ties')
    const cells = cellsOf(page)
    const expected = report.rows.flatMap((row: Json) =>
      row.cells.map((cell: Json, t: number) => ({ row: row.name, model: report.models[t].key, ...cell })),
    )
    expect(expected.length).toBe(5 * 2)
    expect(cells.map(({ row, model }) => [row, model])).toEqual(expected.map(({ row, model }: Json) => [row, model]))
    for (const [i, { conflict, cosine, change }] of cells.entries()) {
      // Shares are shown to a percent, small ones to a tenth of one.
      expect(Math.abs(conflict - expected[i].conflict)).toBeLessThanOrEqual(0.00501)
      expect(Math.abs(change - expected[i].change)).toBeLessThanOrEqual(0.00501)
      expect(Math.abs(cosine - expected[i].cosine)).toBeLessThanOrEqual(0.000501)
    }
    expect(new Set(expected.map(({ conflict }: Json) => conflict)).size).toBeGreaterThan(1)
  })

  it('is named after the plan, and nothing is merged', async () => {
    const before = filesBelow(folder)
    const { status, stdout } = await espalier(['merge', 'recipe.yml', '--plan', '--report', 'again.html'], {
      cwd: folder,
    })
    expect(status).toBe(0)
    expect(stdout).toMatch(/^agreement +again\.html$/m)
    expect(stdout).toMatch(/^cost +reads/m)
    expect(filesBelow(folder)).toEqual([...before, 'again.html'].sort())
    expect(cellsOf(readFileSync(at('again.html'), 'utf8')).length).toBe(10)
  })

  it('belongs to --plan', async () => {
    const wrong = ['merge', at('recipe.yml'), at('out'), '--report', at('no.html')]
    expect((await failure(wrong)).code).toBe('USAGE')
    expect(existsSync(at('no.html'))).toBe(false)
  })
})
