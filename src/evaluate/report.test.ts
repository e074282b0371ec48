import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { chromiumPath, launchChromium, noChromium } from '../../test/support/chromium.ts'
import { LabelTree } from '../labels/label-tree.ts'
import { idSets, scoredIds } from './id-sets.ts'
import { computeMetrics } from './metrics.ts'
import { type Report, renderReport } from './report.ts'
import { excerpt, pickReportRows } from './report-rows.ts'

const hostile = '</script><script>globalThis.stolen = 1</script><img src=x onerror="stolen = 1">'

/** A report of what a real evaluation of these labels says. */
function reportOf(tree: LabelTree, texts: string[], gold: number[][], predicted: number[][]): Report {
  const scores = predicted.map((ids) => ids.map((_, i) => 0.9 - 0.2 * i))
  const given = scoredIds(predicted, scores)
  const metrics = computeMetrics({
    tree,
    gold: idSets(gold),
    predicted: given,
    ranking: idSets(predicted.map((ids) => ids.slice(-1))),
    logLikelihoods: new Float64Array(gold.length).fill(-0.25),
  })
  return {
    format: 'espalier-report/1',
    title: `Animals ${hostile}`,
    created: '2026-01-02T03:04:05Z',
    model: { method: 'flat', encoder: 'ngram' },
    data: { name: 'animals', split: 'test', rows: gold.length },
    command: `espalier evaluate model "${hostile}"`,
    inputs: [{ role: 'test', path: hostile, sha256: 'ab'.repeat(32), bytes: 1234, rows: gold.length }],
    options: { epochs: 3, note: hostile },
    seeds: { seed: 1 },
    versions: { espalier: '0.1.0' },
    machine: '2 cores',
    seconds: { train: 4.06, evaluate: 61 },
    tree: tree.toJSON(),
    metrics,
    curves: [
      {
        name: 'train',
        quantity: 'loss (nats)',
        xUnit: 'step',
        points: Array.from({ length: 90 }, (_, i) => [i + 1, 5 / (i + 1)]),
      },
      {
        name: 'dev',
        quantity: 'loss (nats)',
        xUnit: 'step',
        points: [
          [45, 1.5],
          [90, 1.25],
        ],
      },
      {
        name: 'dev',
        quantity: 'path accuracy',
        xUnit: 'step',
        points: [
          [45, 0.5],
          [90, 0.625],
        ],
      },
    ],
    rows: [...pickReportRows(tree, idSets(gold), given)].map((row) => ({
      row: row + 1,
      text: texts[row]!,
      gold: gold[row]!,
      predicted: predicted[row]!,
      probabilities: scores[row]!,
      alternatives: [[gold[row]![0]!, 0.05]],
    })),
  }
}

// Ids: hostile 0, mammal 1, its child x 2, cat 3, dog 4.
const tree = new LabelTree([
  { key: 'bad', name: hostile, parents: [], description: hostile },
  { key: 'x', name: 'x', parents: ['bad'], title: hostile },
  { key: 'mammal', name: 'mammal', parents: [] },
  { key: 'cat', name: 'cat', parents: ['mammal'], title: 'Cat' },
  { key: 'dog', name: 'dog', parents: ['mammal'] },
])
const [x, cat, dog] = [tree.resolve(['x']), tree.resolve(['cat']), tree.resolve(['dog'])] as [number, number, number]
const close = (id: number): number[] => tree.closure([id])
const gold = [[x], [cat], [cat], [cat], [dog], [dog], [x]]
const predicted = [close(x), close(cat), close(dog), close(dog), close(dog), close(cat), close(cat).slice(0, 1)]
const texts = ['a', 'it purrs', `barks? ${hostile}`, 'مرحبا', 'wags its tail', 'meows', 'unsure']
const report = reportOf(tree, texts, gold, predicted)
const page = renderReport(report)

/** Names of elements that are closed wrongly. Scripts and styles are text. */
function misnested(source: string): string[] {
  const empty = new Set(['meta', 'link', 'input', 'br', 'img', 'hr'])
  const open: string[] = []
  const faults: string[] = []
  const body = source.replace(/<(script|style)\b([^>]*)>[\s\S]*?<\/\1>/g, '<$1$2></$1>')
  for (const [, end, name] of body.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*>/g)) {
    if (empty.has(name!)) continue
    if (end === '') open.push(name!)
    else if (open.pop() !== name) faults.push(name!)
  }
  return [...faults, ...open]
}

describe('renderReport', () => {
  it('nests its elements rightly and is the same every time', () => {
    expect(page.startsWith('<!doctype html>')).toBe(true)
    expect(misnested(page)).toEqual([])
    expect(renderReport(report)).toBe(page)
  })

  it('asks for nothing from outside', () => {
    expect(page).not.toMatch(/\b(src|href)\s*=\s*["']?(https?:)?\/\//)
    expect(page).not.toMatch(/@import|url\(|\bfetch\(|XMLHttpRequest|import\(/)
    expect(page).toContain("default-src 'none'")
  })

  it('escapes names, texts, paths and the command', () => {
    expect(page).not.toContain(hostile)
    expect(page.match(/<script/g)).toHaveLength(2)
    expect(page).toContain('&lt;/script&gt;&lt;script&gt;')
    const data = JSON.parse(/id="report-data">([\s\S]*?)<\/script>/.exec(page)![1]!) as { names: string[] }
    expect(data.names).toEqual(tree.nodes.map((node) => node.name))
  })

  it('carries counts from which every score follows exactly', () => {
    const data = JSON.parse(/id="report-data">([\s\S]*?)<\/script>/.exec(page)![1]!) as Record<string, number[]>
    for (const [id, label] of report.metrics.perLabel.entries()) {
      const total = data['support']![id]! + data['predicted']![id]!
      expect(total === 0 ? 0 : (2 * data['right']![id]!) / total).toBe(label.f1)
    }
  })

  it('writes settings with as many digits as a reader needs', () => {
    const source = renderReport({ ...report, model: { parameters: 1702764, temperature: 0.19243309222306276 } })
    expect(source).toContain('<dd>1,702,764</dd>')
    expect(source).toContain('<dd>0.1924</dd>')
    expect(source).toContain('<dd>1 min 1 s</dd>')
  })

  it('leaves out what was not measured', () => {
    const { ece: _e, brier: _b, reliability: _r, nll: _n, precisionAt: _p, ...metrics } = report.metrics
    const bare = renderReport({ ...report, metrics, curves: [], rows: [], inputs: [] })
    expect(misnested(bare)).toEqual([])
    expect(bare).not.toContain('ECE')
    expect(bare).not.toContain('P@1')
    expect(bare).not.toMatch(/NaN|undefined<|null</)
  })
})

describe('pickReportRows', () => {
  it('keeps the rows of confusions, and the surest first', () => {
    const predictedSets = scoredIds(predicted, [[1, 1], [1, 1], [1, 0.5], [1, 0.9], [1, 1], [1, 1], [1]])
    const limits = { sample: 0, perPair: 1, perNode: 0 }
    // Row 3 (from 0) is the surest of the three in which cat and dog are confused, apart from row 5.
    expect([...pickReportRows(tree, idSets(gold), predictedSets, { ...limits, total: 1 })]).toEqual([5])
    expect([...pickReportRows(tree, idSets(gold), predictedSets, { ...limits, perPair: 2, total: 2 })]).toEqual([3, 5])
    expect(pickReportRows(tree, idSets(gold), predictedSets, { total: 4 })).toHaveLength(4)
    expect([...pickReportRows(tree, idSets(gold), predictedSets)]).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  it('finds a mistake for every label that has one, within a large data set', () => {
    const rows = Array.from({ length: 5000 }, (_, i) => (i % 1000 === 999 ? [dog, cat] : [cat, cat]))
    const picked = pickReportRows(
      tree,
      idSets(rows.map(([right]) => [right!])),
      idSets(rows.map(([, said]) => close(said!))),
      { total: 25, sample: 20, perPair: 0, perNode: 5 },
    )
    expect([...picked].filter((row) => row % 1000 === 999)).toHaveLength(5)
    expect(picked).toHaveLength(25)
  })
})

describe('excerpt', () => {
  it('cuts between characters as people count them', () => {
    expect(excerpt('abc', 3)).toBe('abc')
    expect(excerpt('abcd', 3)).toBe('abc…')
    expect(excerpt('👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 2)).toBe('👩‍👩‍👧‍👦👩‍👩‍👧‍👦…')
    expect(excerpt('é'.repeat(3), 3)).toBe('é'.repeat(3))
    expect(excerpt('a'.repeat(1e7), 5)).toBe('aaaaa…')
  })
})

describe('the page in a browser', () => {
  let browser: Browser | undefined
  beforeAll(async () => {
    if (chromiumPath) browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
  })
  beforeEach((context) => {
    if (!chromiumPath) context.skip(noChromium)
  })

  /** Script errors and requests: there must be none. */
  const faults: string[] = []
  afterEach(() => {
    expect(faults.splice(0)).toEqual([])
  })

  /** Opens a page in a tab of its own. */
  async function open(source: string, options: { width?: number; dark?: boolean } = {}): Promise<Page> {
    const tab = await browser!.newPage({
      viewport: { width: options.width ?? 1280, height: 900 },
      colorScheme: options.dark ? 'dark' : 'light',
    })
    tab.on('pageerror', (error) => faults.push(error.message))
    tab.on('request', (request) => faults.push(request.url()))
    await tab.setContent(source)
    await tab.waitForSelector('.board .node')
    return tab
  }

  it('shows the numbers of the report', async () => {
    const tab = await open(page)
    const { metrics } = report
    const figures = await tab.$$eval('#summary .figures > div', (all) =>
      Object.fromEntries(
        all.map((div) => [
          div.querySelector('dt')!.firstChild!.textContent!.trim(),
          div.querySelector('dd')!.textContent,
        ]),
      ),
    )
    expect(figures).toEqual({
      'exact path': metrics.exactPath.toFixed(3),
      'level 1': metrics.levels[0]!.accuracy.toFixed(3),
      'level 2': metrics.levels[1]!.accuracy.toFixed(3),
      'micro-F1': metrics.microF1.toFixed(3),
      'macro-F1': metrics.macroF1.toFixed(3),
      'hierarchical F1': metrics.hierarchical.f1.toFixed(3),
      ECE: metrics.ece!.toFixed(3),
      'stopped early': metrics.abstained.toFixed(3),
    })
    await tab.getByRole('button', { name: 'list', exact: true }).click()
    const table = await tab.$$eval('.labels tbody tr', (rows) =>
      rows.map((row) => [
        Number(row.getAttribute('data-id')),
        ...[...row.querySelectorAll('td')].map((td) => td.textContent),
      ]),
    )
    expect(table).toHaveLength(tree.size)
    for (const [id, f1, precision, recall, support, given] of table) {
      const label = metrics.perLabel[id as number]!
      expect([f1, support, given]).toEqual([label.f1.toFixed(3), String(label.support), String(label.predicted)])
      expect(recall).toBe(label.support === 0 ? '–' : label.recall.toFixed(3))
      expect(precision).toBe(label.predicted === 0 ? '–' : label.precision.toFixed(3))
    }
    const bars = await tab.$eval('.pair .bars', (bar) => bar.getAttribute('aria-label'))
    expect(bars).toBe('2 rows of Cat taken for dog, 1 row the other way')
    await tab.close()
  })

  it('shows hostile names as text and runs none of them', async () => {
    const tab = await open(page)
    await tab.locator('.node').first().click()
    await tab.getByRole('button', { name: 'all', exact: true }).click()
    for (const details of await tab.$$('details')) await details.evaluate((element) => element.setAttribute('open', ''))
    expect(await tab.evaluate(() => 'stolen' in globalThis)).toBe(false)
    expect(await tab.locator('img').count()).toBe(0)
    expect(await tab.title()).toBe(report.title)
    expect(await tab.locator('#row-list .text').allTextContents()).toContain(texts[2])
    expect(await tab.locator('#command').textContent()).toBe(report.command)
    await tab.close()
  })

  it('is used by keyboard: arrows move, Enter selects, Escape goes up', async () => {
    const tab = await open(page)
    await tab.locator('.node.strip').focus()
    const selected = () => tab.locator('#detail h3').textContent()
    const focused = () => tab.evaluate(() => document.activeElement!.getAttribute('data-id'))
    await tab.keyboard.press('ArrowRight')
    await tab.keyboard.press('ArrowDown')
    const mammal = String(tree.resolve(['mammal']))
    expect(await focused()).toBe(mammal)
    await tab.keyboard.press('ArrowRight')
    expect(await focused()).toBe(String(cat))
    await tab.keyboard.press('Enter')
    expect(await selected()).toContain('Cat')
    expect(await tab.evaluate(() => location.hash)).toBe(`#label-${cat}`)
    const rows = await tab.locator('#detail .row .text').allTextContents()
    expect(rows).toEqual(expect.arrayContaining([texts[2], texts[3], texts[5], texts[1]]))
    await tab.keyboard.press('Escape')
    expect(await selected()).toBe('mammal')
    await tab.keyboard.press('Escape')
    expect(await selected()).toBe('All labels')
    await tab.close()
  })

  it('draws the curves and says their values', async () => {
    const tab = await open(page)
    const readout = tab.locator('.chart .readout').first()
    expect(await readout.textContent()).toBe('last   train 0.056   dev 1.250')
    await tab.locator('.chart svg').first().focus()
    await tab.keyboard.press('ArrowLeft')
    expect(await readout.textContent()).toBe('step 89   train 0.056')
    expect(await tab.locator('.chart .axes .name').allTextContents()).toEqual(
      expect.arrayContaining(['loss (nats)', 'step', 'path accuracy', 'share right']),
    )
    await tab.close()
  })

  it('leads from a number to the rows behind it', async () => {
    const tab = await open(page)
    const shown = () => tab.locator('#row-list .text').allTextContents()
    const ofRows = (rows: number[]) => rows.map((row) => texts[row]!)
    await tab.locator('.figures a', { hasText: report.metrics.levels[0]!.accuracy.toFixed(3) }).click()
    expect(await shown()).toEqual(ofRows([6]))
    await tab.locator('.levels [data-mistaken="2"]').click()
    expect(await shown()).toEqual(ofRows([2, 3, 5, 6]))
    await tab.getByRole('button', { name: 'No longer only: wrong on level 2' }).click()
    await tab.getByRole('button', { name: 'right', exact: true }).click()
    expect(await shown()).toEqual(ofRows([0, 1, 4]))
    // The end of row 6's path has probability 0.9, all others 0.7.
    await tab.locator('.chart svg').last().focus()
    for (let i = 0; i < 3; i++) await tab.keyboard.press('ArrowLeft')
    expect(await tab.locator('.chart .readout').last().textContent()).toBe(
      'probability 0.80 to 0.87: mean 0.833, right 0.000, 0 rows',
    )
    await tab.keyboard.press('ArrowRight')
    await tab.keyboard.press('Enter')
    expect(await shown()).toEqual(ofRows([6]))
    await tab.close()
  })

  it.each([360, 2560])('fits a window of %i px in light and dark, and paper', async (width) => {
    for (const dark of [false, true]) {
      const tab = await open(page, { width, dark })
      expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
      await tab.emulateMedia({ media: 'print' })
      expect(await tab.locator('.board .node').count()).toBeGreaterThan(3)
      await tab.close()
    }
  })

  it('stays small for a tree of ten thousand labels', async () => {
    const paths = Array.from({ length: 10_000 }, (_, i) => [`a${i % 10}`, `b${i % 100}`, `c${i}`])
    const large = LabelTree.fromPaths(paths)
    const rows = large.leaves.slice(0, 3000)
    const wide = reportOf(
      large,
      rows.map((id) => `text of ${id}`),
      rows.map((id) => [id]),
      rows.map((id, i) => large.closure([i % 3 === 0 ? rows[(i + 1) % rows.length]! : id])),
    )
    const source = renderReport(wide)
    expect(source.length).toBeLessThan(1.5e6)
    const tab = await open(source)
    expect(await tab.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(6000)
    await tab.locator('input[type=search]').first().fill('c4321')
    expect(await tab.locator('.labels tbody tr').count()).toBe(1)
    await tab.locator('.labels tbody .label').click()
    expect(await tab.locator('#detail h3').textContent()).toBe('c4321')
    await tab.close()
  })
})
