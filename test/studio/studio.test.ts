// biome-ignore-all lint/performance/useDomNodeTextContent: the text as people see it
/** The studio over real runs: its routes, what it refuses, and its page in a browser, checked against the JSON and by axe in light and dark. */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import type {
  Answer,
  EvaluationDocument,
  EvaluationEntry,
  JobLine,
  MergeMap,
  RunDetail,
  RunList,
  SpecialistEffects,
} from '../../src/serve/studio/api.ts'
import { appendTrainLog, type TrainLogEntry } from '../../src/train/train-log.ts'
import { document, failure, start } from '../cli/espalier.ts'
import { chromiumPath, launchChromium, noChromium } from '../support/chromium.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { makeRuns } from './runs.ts'

const { folder } = temporaryFolder()
const shots = fileURLToPath(new URL('../../test-artefacts/studio', import.meta.url))
/** Evaluated by the debugger: the page's own policy lets no foreign script in. */
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
let child: ChildProcess
let url: string

beforeAll(async () => {
  await makeRuns(folder)
  const begun = start(['studio', '.', '--port', '0', '--json'], { cwd: folder, hold: true })
  child = begun.child
  url = await new Promise<string>((resolve, reject) => {
    let out = ''
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk.toString()
      if (/\}\s*$/.test(out)) resolve((JSON.parse(out) as { url: string }).url)
    })
    child.on('exit', () => reject(new Error('the studio ended early')))
  })
}, 180_000)
afterAll(() => void child?.kill('SIGTERM'))

const get = async <T>(path: string): Promise<T> => {
  const response = await fetch(`${url}/api/${path}`)
  expect(response.status, path).toBe(200)
  return (await response.json()) as T
}
const post = (path: string, body: object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/api/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
/** The last line of a streamed job. */
async function job<T>(path: string, body: object): Promise<T> {
  const lines = (await (await post(path, body)).text()).trim().split('\n')
  const last = JSON.parse(lines.at(-1)!) as JobLine<T>
  if (last.type !== 'done') throw new Error(JSON.stringify(last))
  return last.result
}
const evaluateOn = (id: string): Promise<EvaluationEntry> => job('evaluate', { id, file: 'test.jsonl' })

describe('routes', () => {
  test('runs are found and told apart; broken ones say why', async () => {
    const { runs } = await get<RunList>('runs')
    const kinds = Object.fromEntries(runs.map(({ id, kind }) => [id, kind]))
    expect(kinds).toEqual({
      base: 'model',
      one: 'model',
      two: 'model',
      'ngram-flat': 'model',
      'ngram-levels': 'model',
      thief: 'model',
      merged: 'merge',
      aligned: 'merge',
      'flat-report.json': 'evaluation',
      damaged: 'broken',
      'no-json': 'broken',
      'bad-report.json': 'broken',
    }) // prettier-ignore
    const faults = Object.fromEntries(runs.flatMap(({ id, fault }) => (fault ? [[id, fault.code]] : [])))
    expect(faults).toEqual({
      damaged: 'JSON_MALFORMED',
      'no-json': 'JSON_MALFORMED',
      'bad-report.json': 'STUDIO_REPORT',
    })
  })

  test('an evaluation has the figures of the command line, and every row', async () => {
    const { id, score } = await evaluateOn('ngram-flat')
    const told = await document(['evaluate', 'ngram-flat', 'test.jsonl'], { cwd: folder })
    expect(score.exactPath).toBe(told.exactPath)
    expect(score.macroF1).toBe(told.macroF1)
    const shown = await get<EvaluationDocument>(`evaluation?id=${id}`)
    expect(shown.complete).toBe(true)
    expect(shown.page.rows).toHaveLength(told.n)
    const f1 = shown.page.names.map((_, label) => {
      const taken = shown.page.support[label]! + shown.page.predicted[label]!
      return taken === 0 ? 0 : (2 * shown.page.right[label]!) / taken
    })
    for (const [label, { f1: expected }] of told.perLabel.entries()) expect(f1[label]).toBeCloseTo(expected, 12)
    expect((await evaluateOn('ngram-flat')).id).toBe(id)
  })

  test('answers are those of predict', async () => {
    const text = 'show me apple pie today'
    const answer = (await (await post('answer', { id: 'ngram-flat', text })).json()) as Answer
    const told = await document(['predict', 'ngram-flat', text, '--top-k', '3'], { cwd: folder })
    expect(answer.paths[0]!.path).toEqual(told.predictions[0].path)
    for (const [at, value] of answer.paths[0]!.confidence.entries())
      expect(value).toBeCloseTo(told.predictions[0].confidence[at], 12)
    for (const { options, others } of answer.levels.slice(0, 1))
      expect(options.reduce((sum, { probability }) => sum + probability, others.probability)).toBeCloseTo(1, 9)
  })

  test('a merge is taken apart by doing it again without each specialist', async () => {
    const effects = await job<SpecialistEffects>('specialists', {
      id: 'merged',
      head: 'one',
      text: 'show me apple pie',
    })
    expect(effects.effects.map(({ specialist }) => specialist)).toEqual(['one', 'two'])
    for (const { margin } of effects.effects) expect(Number.isFinite(margin) && margin !== effects.margin).toBe(true)
  })

  test('the merge map is that of the weights', async () => {
    const map = await job<MergeMap>('merge-map', { id: 'merged' })
    expect(map.models).toEqual(['one', 'two'])
    expect(map.layers.map(({ name }) => name)).toEqual([
      'before the layers',
      ...Array.from({ length: map.layers.length - 2 }, (_, layer) => `layer ${layer}`),
      'after the layers',
    ])
    const measure = (key: string) => map.measures.find((one) => one.key === key)!.values
    const checkpoints = await Promise.all(['base', 'one', 'two'].map((name) => openCheckpoint(join(folder, name))))
    let [own, mean, product, against, magnitude] = [0, 0, 0, 0, 0]
    for (const name of checkpoints[0]!.tensors.keys()) {
      if (!name.includes('layer.1.')) continue
      const [base, one, two] = (await Promise.all(checkpoints.map((checkpoint) => checkpoint.readFloat32(name)))) as [
        Float32Array,
        Float32Array,
        Float32Array,
      ]
      for (const [i, value] of base.entries()) {
        const change = one[i]! - value
        const middle = (change + two[i]! - value) / 2
        own += change * change
        mean += middle * middle
        product += change * middle
        magnitude += Math.abs(change)
        if (change * middle < 0) against += Math.abs(change)
      }
    }
    await Promise.all(checkpoints.map((checkpoint) => checkpoint.close()))
    const layer = map.layers.findIndex(({ name }) => name === 'layer 1')
    expect(measure('cosine')[layer]![0]).toBeCloseTo(product / Math.sqrt(own * mean), 6)
    expect(measure('conflict')[layer]![0]).toBeCloseTo(against / magnitude, 6)
  })

  test('figures of each task are those of the record of merging and aligning', async () => {
    const { tasks } = await job<MergeMap>('merge-map', { id: 'aligned' })
    const record = JSON.parse(await readFile(join(folder, 'aligned', 'espalier.json'), 'utf8')) as {
      tasks: Record<string, Record<string, Record<string, number>>>
    }
    expect([...new Set(tasks.map(({ task }) => task))]).toEqual(['one', 'two'])
    expect(tasks.length).toBe(
      Object.values(record.tasks).reduce((sum, figures) => sum + Object.keys(figures).length, 0),
    )
    for (const { task, figure, values } of tasks) {
      expect(values.map(({ when }) => when)).toEqual(['specialist', 'merged', 'aligned'])
      for (const { when, value } of values) expect(value).toBe(record.tasks[task]![figure]![when])
    }
  })

  test.each([
    ['run?id=..%2F..', 404],
    ['run?id=%2Fetc', 404],
    ['evaluation?id=file:..%2Fx', 404],
    ['evaluation?id=..%2F..%2Fx', 404],
    ['../../package.json', 404],
  ])('%s is refused', async (path, status) => {
    expect((await fetch(`${url}/api/${path}`)).status).toBe(status)
  })

  test('data files outside of the folder are refused, linked ones and recorded ones too', async () => {
    await symlink('/etc', join(folder, 'one', 'etc')).catch(() => undefined)
    for (const file of ['../../../etc/passwd', '/etc/passwd'])
      expect(
        ((await (await post('evaluate', { id: 'ngram-flat', file })).json()) as { fault: { code: string } }).fault.code,
      ).toBe('STUDIO_PATH')
    const { data } = await get<RunDetail>('run?id=thief')
    expect(data).toEqual([{ file: '/etc/passwd', found: false, why: 'the file has changed since' }])
    const refused = (await (await post('neighbours', { id: 'thief', text: 'root' })).json()) as {
      fault: { code: string }
    }
    expect(refused.fault.code).toBe('STUDIO_DATA')
    await rm(join(folder, 'one', 'etc'), { force: true })
  })

  test('other sites and other names are refused', async () => {
    expect((await post('answer', { id: 'ngram-flat', text: 'a' }, { origin: 'https://evil.example' })).status).toBe(403)
    const status = await new Promise<number>((resolve) => {
      request(`${url}/api/runs`, { headers: { host: 'evil.example' } }, (response) =>
        resolve(response.statusCode!),
      ).end()
    })
    expect(status).toBe(421)
    expect(
      (await fetch(`${url}/api/answer`, { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } }))
        .status,
    ).toBe(422)
  })

  test('a folder that is none, and an open address, are refused by name', async () => {
    expect((await failure(['studio', join(folder, 'nowhere')])).code).toBe('ENOENT')
    expect((await failure(['studio', folder, '--host', '0.0.0.0'])).code).toBe('HOST_OPEN')
  })
})

describe('the page', () => {
  let browser: Browser | undefined
  const errors: string[] = []
  beforeAll(async () => {
    if (chromiumPath === undefined) return
    browser = await launchChromium()
    await mkdir(shots, { recursive: true })
  })
  afterAll(() => browser?.close())

  async function open(
    hash: string,
    { scheme = 'light', width = 1280 }: { scheme?: 'light' | 'dark'; width?: number } = {},
  ): Promise<Page> {
    const page = await browser!.newPage({ viewport: { width, height: 860 }, colorScheme: scheme })
    page.on('pageerror', (error) => errors.push(`${hash}: ${error.message}`))
    page.on('request', (asked) => {
      if (!asked.url().startsWith(url) && !asked.url().startsWith('data:'))
        errors.push(`${hash} asks for ${asked.url()}`)
    })
    await page.goto(`${url}/${hash}`)
    return page
  }

  test('click through: runs, one run, a label, its rows, a text, a comparison', async (context) => {
    context.skip(!browser, noChromium)
    const { id } = await evaluateOn('ngram-flat')
    await evaluateOn('ngram-levels')
    const shown = await get<EvaluationDocument>(`evaluation?id=${id}`)
    const page = await open('#/')
    await page.getByPlaceholder('Filter runs').fill('ngram-')
    await expect.poll(() => page.locator('.runs tbody tr').count()).toBe(2)
    expect(page.url()).toContain('q=ngram-')
    await page.getByRole('button', { name: 'exact path' }).click()
    expect(await page.locator('.runs th[aria-sort=descending]').innerText()).toContain('exact path')
    expect(await page.locator('tr', { hasText: 'ngram-flat' }).locator('td.score').first().innerText()).toBe(
      shown.figures[0]!.value.toFixed(3),
    )

    await page.getByRole('link', { name: 'ngram-flat' }).click()
    await page.waitForSelector('#tree .node')
    for (const { name, value } of shown.figures.slice(0, 1))
      expect(await page.locator('.figures div', { hasText: name }).first().locator('dd').innerText()).toBe(
        value.toFixed(3),
      )
    const label = shown.page.names.indexOf('apple')
    await page.locator(`#tree .node[data-id="${label}"]`).click()
    expect(page.url()).toContain(`label=${label}`)
    const taken = shown.page.support[label]! + shown.page.predicted[label]!
    const f1 = ((2 * shown.page.right[label]!) / taken).toFixed(3)
    expect(await page.locator('#detail .figures').innerText()).toContain(f1)
    expect(await page.locator('#detail .figures').innerText()).toContain(String(shown.page.support[label]))
    expect(await page.locator('#detail article.row').count()).toBeGreaterThan(0)
    // A link to the label opens at the label; the keyboard zooms out again.
    const second = await open(page.url().slice(url.length + 1))
    await expect.poll(() => second.locator('#detail h3').innerText()).toContain('apple')
    await second.locator('#tree .node.chosen').focus()
    await second.keyboard.press('Escape')
    await expect.poll(() => second.url()).not.toContain(`label=${label}`)
    await second.close()

    await page.getByRole('link', { name: 'Try a text' }).click()
    await page.getByLabel('Text').fill('show me green pear')
    await page.keyboard.press('Enter')
    await page.waitForSelector('.path-line')
    expect(await page.locator('.path-line').innerText()).toContain('pear')
    await page.waitForSelector('.marked .for')
    await page.waitForSelector('.nearest li')
    expect(await page.locator('.nearest li').first().innerText()).toContain('pear')
    await page.screenshot({ path: join(shots, 'try.png'), fullPage: true })

    await page.getByRole('link', { name: 'runs', exact: true }).click()
    await page.getByLabel('Compare ngram-flat').check()
    await page.getByLabel('Compare ngram-levels').check()
    await page.getByRole('link', { name: /^Compare/ }).click()
    await page.waitForSelector('.deltas')
    const other = (await get<RunDetail>('run?id=ngram-levels')).evaluations[0]!.score
    const first = page.locator('.deltas tbody tr', { hasText: 'exact path' }).locator('td')
    expect(await first.nth(0).innerText()).toBe(shown.figures[0]!.value.toFixed(3))
    expect(await first.nth(1).innerText()).toBe(other.exactPath.toFixed(3))
    expect(await page.locator('.verdict').innerText()).toContain('rows are right only in A')
    await page.close()
  })

  test('training curves grow while the log is written, and end in the model', async (context) => {
    context.skip(!browser, noChromium)
    const work = join(folder, 'later.training')
    await mkdir(work)
    await writeFile(join(work, 'espalier.json'), '{"espalier": "0.1.0", "verb": "train"}')
    const log = join(work, 'train-log.jsonl')
    const page = await open('#/run/later.training/training')
    await page.waitForSelector('.state')
    for (let step = 1; step <= 3; step++)
      await appendTrainLog(log, {
        step: step * 10,
        epoch: step / 4,
        loss: 3 / step,
        dev: { 'path accuracy': step / 4 },
      })
    await expect.poll(() => page.locator('.figures').innerText(), { timeout: 10_000 }).toContain('30')
    await appendTrainLog(log, { step: 40, epoch: 1, loss: 0.5, dev: { 'path accuracy': 0.9 } })
    await expect.poll(() => page.locator('.figures').innerText(), { timeout: 10_000 }).toContain('0.900')
    expect(await page.locator('.curves svg').count()).toBe(2)
    await page.screenshot({ path: join(shots, 'training.png'), fullPage: true })
    await mkdir(join(folder, 'later'))
    await rm(work, { recursive: true })
    await expect.poll(() => page.locator('.state').innerText(), { timeout: 10_000 }).toContain('finished')
    await rm(join(folder, 'later'), { recursive: true })
    await page.close()
  })

  test('curves of a training that runs are drawn while it runs', async (context) => {
    context.skip(!browser, noChromium)
    const args = ['train', 'both.jsonl', '--encoder', 'mini', '--out', 'live', '--threads', '1', '--epochs', '8']
    const { result } = start(args, { cwd: folder })
    await expect
      .poll(async () => (await get<RunList>('runs')).runs.find(({ id }) => id === 'live.training')?.kind, {
        timeout: 60_000,
      })
      .toBe('training')
    const page = await open('#/run/live.training/training')
    const figure = async (name: string) => {
      const shown = page.locator('.figures div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
      return Number((await shown.locator('dd').innerText({ timeout: 60_000 })).replaceAll(',', ''))
    }
    const first = await figure('step')
    await page.waitForSelector('.curves svg')
    expect(await page.locator('.state').innerText()).toContain('live')
    await expect.poll(() => figure('step'), { timeout: 60_000 }).toBeGreaterThan(first)
    await page.screenshot({ path: join(shots, 'training-live.png'), fullPage: true })
    await expect.poll(() => page.locator('.state').innerText(), { timeout: 120_000 }).toContain('finished')
    expect((await result).status).toBe(0)
    // What stands on the page at the end is the end of the log.
    const lines = (await readFile(join(folder, 'live', 'train-log.jsonl'), 'utf8')).trim().split('\n')
    const log = lines.map((line) => JSON.parse(line) as TrainLogEntry)
    await page.getByRole('link', { name: 'Open live' }).click()
    await page.getByRole('link', { name: 'Training' }).click()
    await expect.poll(() => figure('step'), { timeout: 30_000 }).toBe(log.at(-1)!.step)
    const dev = log.findLast((entry) => entry.dev !== undefined)!.dev!
    for (const [name, value] of Object.entries(dev))
      expect((await figure(`dev ${name}`)).toFixed(3)).toBe(value.toFixed(3))
    const loss = log.findLast((entry) => entry.loss !== undefined)!.loss!
    expect((await figure('loss \\(nats\\)')).toFixed(3)).toBe(loss.toFixed(3))
    await page.close()
  }, 300_000)

  test('a decision of a merged model is taken apart by a click', async (context) => {
    context.skip(!browser, noChromium)
    const text = 'please buy hand saw'
    const page = await open(`#/run/merged/try?head=two&text=${encodeURIComponent(text)}`)
    await page.getByRole('button', { name: 'Take the merge apart for this text' }).click()
    const rows = page.locator('#specialists tbody tr')
    await expect.poll(() => rows.count(), { timeout: 60_000 }).toBe(2)
    const told = await job<SpecialistEffects>('specialists', { id: 'merged', head: 'two', text })
    expect(await page.locator('#specialists p').innerText()).toContain(`${told.label} over ${told.rival}`)
    for (const { specialist, margin, answer } of told.effects) {
      const row = rows.filter({ has: page.locator('th', { hasText: specialist }) })
      const moved = Number((await row.locator('b').innerText()).replace('−', '-').replace('±', ''))
      expect(Math.abs(moved - (told.margin - margin))).toBeLessThan(0.0051)
      expect(await row.locator('td.plain').innerText()).toBe(answer)
    }
    await page.locator('#specialists').scrollIntoViewIfNeeded()
    await page.screenshot({ path: join(shots, 'taken-apart.png'), fullPage: true })
    await page.close()
  }, 120_000)

  test('the merge view draws each task before and after, as recorded', async (context) => {
    context.skip(!browser, noChromium)
    const { tasks } = await job<MergeMap>('merge-map', { id: 'aligned' })
    const page = await open('#/run/aligned/merge')
    await page.waitForSelector('.tasks tr', { timeout: 60_000 })
    const shown = await page
      .locator('.tasks tr')
      .evaluateAll((rows) =>
        rows.map((row) => [row.querySelector('.when')!.textContent, row.querySelector('.probability b')!.textContent]),
      )
    expect(shown).toEqual(tasks.flatMap(({ values }) => values.map(({ when, value }) => [when, value.toFixed(3)])))
    await page.getByRole('button', { name: 'cosine' }).click()
    expect(page.url()).toContain('measure=cosine')
    await page.close()
  }, 120_000)

  const text = encodeURIComponent('please buy hand saw')
  test.each([
    ['runs', '#/', '.runs tbody tr'],
    ['labels', '#/run/ngram-flat/labels?label=3', '#tree .node'],
    ['text', `#/run/ngram-flat/try?text=${text}`, '.nearest li'],
    ['merged-text', `#/run/merged/try?head=two&text=${text}`, '.strongest td'],
    ['merge', '#/run/aligned/merge', '.tasks td'],
    ['record', '#/run/ngram-flat/record', '.json'],
    ['broken', '#/run/damaged', '.fault'],
    ['compare', '#/compare?a=ngram-flat&b=ngram-levels', '.deltas td'],
    ['curves', '#/run/base/training', '.curves svg'],
  ])(
    '%s: no serious fault of accessibility, no overflow, in light and dark, narrow and wide',
    async (name, hash, ready) => {
      if (!browser) return expect(chromiumPath, noChromium).toBeUndefined()
      await evaluateOn('ngram-flat')
      await evaluateOn('ngram-levels')
      for (const scheme of ['light', 'dark'] as const) {
        const page = await open(hash, { scheme })
        await page.waitForSelector(ready, { timeout: 30_000 })
        await page.evaluate(axe)
        const found = await page.evaluate(async () => {
          const { violations } = await (globalThis as unknown as { axe: typeof import('axe-core') }).axe.run()
          return violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(
              ({ id, nodes }) =>
                `${id}: ${nodes
                  .slice(0, 3)
                  .map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary?.slice(0, 300)}`)
                  .join(' | ')}`,
            )
        })
        expect(found, `${name} ${scheme}`).toEqual([])
        await page.screenshot({ path: join(shots, `${name}-${scheme}.png`), fullPage: true })
        await page.close()
      }
      for (const [width, scheme] of [
        [360, 'light'],
        [360, 'dark'],
        [2560, 'light'],
      ] as const) {
        const page = await open(hash, { width, scheme })
        await page.waitForSelector(ready, { timeout: 30_000 })
        const over = await page.evaluate(
          () => window.document.documentElement.scrollWidth - window.document.documentElement.clientWidth,
        )
        expect(over, `${name} at ${width}`).toBeLessThanOrEqual(0)
        await page.screenshot({ path: join(shots, `${name}-${width}-${scheme}.png`), fullPage: true })
        await page.close()
      }
    },
    120_000,
  )

  test('nothing failed in the page, and nothing was asked of elsewhere', (context) => {
    context.skip(!browser, noChromium)
    expect(errors).toEqual([])
  })
})
