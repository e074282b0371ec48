/** examples/browser as its README says: Vite's development server over the page, a model that answers as in Node, and a fine-tuning in the tab. */
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadClassifier } from '../../src/classify/load-classifier.ts'
import { predict } from '../../src/classify/predict.ts'
import { train } from '../../src/classify/train.ts'
import { datasetOf } from '../../src/data/dataset.ts'
import { formatPath } from '../../src/labels/label-tree.ts'
import { tickets } from '../cli/tickets.ts'
import { browserArguments, findBrowser } from './chromium.ts'

const root = fileURLToPath(new URL('../../examples/browser', import.meta.url))
const executablePath = findBrowser()
let folder = ''
let browser: Browser | undefined
let server: ViteDevServer | undefined

beforeAll(async () => {
  if (!executablePath) return
  folder = await mkdtemp(join(tmpdir(), 'espalier-example-'))
  await (await train(datasetOf(tickets), { threads: 1, out: join(folder, 'model') })).close()
  const encoder = { encoder: 'mini', epochs: 1, threads: 1, out: join(folder, 'encoder') }
  await (await train(datasetOf(tickets), encoder)).close()
  // What lies in examples/browser/public/ for a reader lies in a folder of the test's own.
  server = await createServer({
    root,
    publicDir: folder,
    cacheDir: join(folder, 'cache'),
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1', watch: null },
  })
  await server.listen()
  browser = await chromium.launch({ executablePath, args: browserArguments })
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await server?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

test('the page answers as Node does, and trains in the tab', async (context) => {
  context.skip(!browser, 'no Chromium found (set CHROMIUM_PATH, or install chromium)')
  const { port } = server!.httpServer!.address() as AddressInfo
  const page = await browser!.newPage()
  const faults: string[] = []
  page.on('pageerror', ({ message }) => faults.push(message))
  await page.goto(`http://127.0.0.1:${port}/`)
  await expect.poll(() => page.locator('#status').textContent(), { timeout: 90_000 }).toMatch(/^ngram, \d+ labels/)

  const text = 'where is my invoice'
  await page.locator('#text').fill(text)
  const model = await loadClassifier(join(folder, 'model'))
  const [answer] = await predict(model, [text], { topK: 3 })
  await model.close()
  const lines = answer!.top.map(({ path, probability }) => `${probability.toFixed(2)}  ${formatPath(path)}`)
  await expect
    .poll(() => page.locator('#answer').evaluate((output: HTMLOutputElement) => output.value))
    .toBe(lines.join('\n'))

  await page.locator('#train').click()
  await expect.poll(() => page.locator('#status').textContent(), { timeout: 180_000 }).toMatch(/^bert, 6 labels.*wasm/)
  expect(await page.locator('#progress').evaluate((output: HTMLOutputElement) => output.value)).toContain('loss')
  const download = page.waitForEvent('download')
  await page.locator('#save').click()
  expect((await download).suggestedFilename()).toBe('my-model.zip')
  expect(faults).toEqual([])
}, 300_000)
