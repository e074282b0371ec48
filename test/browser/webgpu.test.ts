/**
 * An encoder on WebGPU in headless Chromium answers as on WebAssembly. Where there is no graphics card Chromium brings SwiftShader, which computes on
 * the processor: the same kernels, slowly.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type * as Espalier from '../../src/browser/index.ts'
import type { Prediction } from '../../src/classify/options.ts'
import { train } from '../../src/classify/train.ts'
import { datasetOf } from '../../src/data/dataset.ts'
import { tickets } from '../cli/tickets.ts'
import { bundlePage, serveFolders } from './bundle.ts'
import { findBrowser, gpuArguments } from './chromium.ts'

declare const espalier: typeof Espalier

/** Kernels of the two runtimes add in different orders. */
const tolerance = 1e-4
const texts = ['where is my invoice', 'the app closing again 😀', 'パスワード', 'money back, please!']

const executablePath = findBrowser()
let folder = ''
let browser: Browser | undefined
let page: Page | undefined
let close = async () => {}
let reason = 'no Chromium found (set CHROMIUM_PATH, or install chromium)'

beforeAll(async () => {
  if (!executablePath) return
  folder = await mkdtemp(join(tmpdir(), 'espalier-webgpu-'))
  const mini = join(folder, 'mini')
  const model = await train(datasetOf(tickets), { encoder: 'mini', epochs: 1, threads: 1, out: mini })
  await model.close()
  const bundle = await bundlePage(folder)
  const server = await serveFolders({ '': bundle.folder, mini }, false)
  close = server.close
  browser = await chromium.launch({ executablePath, args: gpuArguments })
  const tab = await browser.newPage()
  await tab.goto(server.url)
  await tab.waitForFunction('globalThis.espalier')
  const adapter = await tab.evaluate<string>(`(async () => {
    const adapter = await navigator.gpu?.requestAdapter()
    return adapter ? adapter.info.vendor + ' ' + adapter.info.architecture : ''
  })()`)
  if (adapter === '') reason = 'this Chromium gives no WebGPU adapter'
  else {
    page = tab
    console.log(`WebGPU adapter: ${adapter}`)
  }
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

interface Answers {
  answers: Prediction[]
  vectors: number[][]
  runtime: string | undefined
  /** Command buffers that the GPU was given. */
  submits: number
}

function answersOf(tab: Page, runtime: 'wasm' | 'webgpu'): Promise<Answers> {
  return tab.evaluate(
    async ({ texts, runtime }) => {
      const queue = (globalThis as unknown as { GPUQueue: { prototype: { submit(...args: unknown[]): unknown } } })
        .GPUQueue.prototype
      const { submit } = queue
      let submits = 0
      queue.submit = function (...args) {
        submits++
        return submit.apply(this, args)
      }
      const model = await espalier.loadClassifier('/mini/', { runtime })
      const answers = await model.predict(texts, { topK: 3 })
      const vectors = (await model.embed(texts)).map((vector) => [...vector])
      const own = model.info.runtime
      await model.close()
      queue.submit = submit
      return { answers, vectors, runtime: own, submits }
    },
    { texts, runtime },
  )
}

test('an encoder on WebGPU answers as on WebAssembly', async (context) => {
  context.skip(page === undefined, reason)
  const wasm = await answersOf(page!, 'wasm')
  expect(wasm).toMatchObject({ runtime: 'wasm', submits: 0 })
  const gpu = await answersOf(page!, 'webgpu')
  expect(gpu.runtime).toBe('webgpu')
  expect(gpu.submits).toBeGreaterThan(0)
  expect(gpu.answers.map(({ path }) => path)).toEqual(wasm.answers.map(({ path }) => path))
  let difference = 0
  for (const [i, { top }] of wasm.answers.entries())
    for (const [k, { probability }] of top.entries())
      difference = Math.max(difference, Math.abs(gpu.answers[i]!.top[k]!.probability - probability))
  for (const [i, vector] of wasm.vectors.entries())
    for (const [k, value] of vector.entries()) difference = Math.max(difference, Math.abs(gpu.vectors[i]![k]! - value))
  console.log(`largest difference between WebGPU and WebAssembly ${difference.toExponential(1)}`)
  expect(difference).toBeLessThan(tolerance)
  const chosen = await page!.evaluate(async () => {
    const model = await espalier.loadClassifier('/mini/', { runtime: 'auto' })
    await model.close()
    return model.info.runtime
  })
  expect(chosen).toBe('webgpu')
}, 400_000)
