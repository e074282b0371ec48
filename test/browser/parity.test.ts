/** The same training steps natively, on WebAssembly in Node, and on WebAssembly in a browser where one is installed. */
import { existsSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import * as graph from '../../src/graph/index.ts'
import * as models from '../../src/models/index.ts'
import * as train from '../../src/train/head-loss.ts'
import { trainSteps } from '../support/train-steps.ts'
import { findBrowser } from './chromium.ts'
import { trainInBrowser } from './page.ts'

/** Kernels of the two runtimes add in different orders; after five steps losses agree to this share of themselves. */
const tolerance = 1e-5

let native: number[]
beforeAll(async () => {
  native = await trainSteps({ graph, models, train }, 'native')
})

function expectSameLosses(losses: readonly number[]): void {
  expect(losses).toHaveLength(native.length)
  for (const [step, loss] of losses.entries())
    expect(Math.abs(loss / native[step]! - 1), `step ${step}: ${loss} and ${native[step]}`).toBeLessThan(tolerance)
}

test('training lowers the loss', () => {
  expect(native.at(-1)!).toBeLessThan(0.97 * native[0]!)
})

test('losses on WebAssembly in Node equal native ones', async () => {
  expectSameLosses(await trainSteps({ graph, models, train }, 'wasm'))
})

const browser = findBrowser()
const built = existsSync(new URL('../../dist/models/index.js', import.meta.url))
const reason = !browser
  ? 'no Chromium found (set CHROMIUM_PATH, or install chromium)'
  : built
    ? undefined
    : 'dist/ is not built (npm run build)'
if (reason) console.warn(`browser test skipped: ${reason}`)

test.skipIf(reason !== undefined)(
  `losses in headless Chromium equal native ones${reason ? ` [skipped: ${reason}]` : ''}`,
  async () => {
    expectSameLosses(await trainInBrowser(browser!))
  },
  120_000,
)
