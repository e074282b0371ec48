/**
 * Time from opening a cold page to the first answer of an `ngram` model in headless Chromium, over several fresh contexts. Writes
 * docs/results/browser.md.
 *
 *     npx tsx bench/browser.ts MODEL [--repeats 7] [--text "book a table for two"]
 */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { bundlePage, serveFolders } from '../test/browser/bundle.ts'
import { browserArguments, findBrowser } from '../test/browser/chromium.ts'
import { median, provenance, writePage } from './results-page.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeats: { type: 'string', default: '7' },
    text: { type: 'string', default: 'book a table for two' },
    out: { type: 'string', default: 'docs/results/browser.md' },
  },
})
const [model] = positionals
const executablePath = findBrowser()
if (model === undefined || executablePath === undefined) throw new Error('expected a MODEL folder, and a Chromium')
const load = loadavg()[0]!
const folder = await mkdtemp(join(tmpdir(), 'espalier-bench-'))
const bundle = await bundlePage(folder)
const server = await serveFolders({ '': bundle.folder, model }, false)
const browser = await chromium.launch({ executablePath, args: browserArguments })
const times: number[] = []
for (let run = 0; run < Number(flags.repeats); run++) {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(server.url)
  await page.waitForFunction('globalThis.espalier')
  times.push(
    await page.evaluate<number>(`(async () => {
      const model = await espalier.loadClassifier('/model/')
      await model.predict([${JSON.stringify(flags.text)}])
      return performance.now()
    })()`),
  )
  console.log(`${times.at(-1)!.toFixed(0)} ms`)
  await context.close()
}
await browser.close()
await server.close()
await rm(folder, { recursive: true })
const { size } = await stat(join(model, 'model.safetensors'))
await writePage(
  flags.out,
  `# An ngram model in a browser

From the navigation to the first answer, each time in a fresh browser context, files from a server on the same machine: median ${median(times).toFixed(0)} ms,
${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms over ${times.length} pages. The model's weights take ${(size / 1e6).toFixed(1)} MB. Load of the machine before the runs: ${load.toFixed(1)}.

${provenance(`npx tsx bench/browser.ts MODEL --repeats ${flags.repeats}`).join('\n')}`,
)
