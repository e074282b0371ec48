/**
 * Time from opening a cold page to the first answer of an `ngram` model of CLINC150 in headless Chromium, over several fresh contexts. Writes
 * docs/results/browser.md. Run `npm run build` first.
 *
 *     npx tsx bench/browser.ts [MODEL] [--repeats 9] [--text "book a table for two"]
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { loadClassifier, predict, readDataset, train } from '../dist/index.js'
import { bundlePage, serveFolders } from '../test/browser/bundle.ts'
import { browserArguments, findBrowser } from '../test/browser/chromium.ts'
import { median, provenance, table, writePage } from './results-page.ts'

/** What must be reached: milliseconds, and bytes of the model. */
const most = { milliseconds: 2000, bytes: 5e6 }

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeats: { type: 'string', default: '9' },
    text: { type: 'string', default: 'book a table for two' },
    out: { type: 'string', default: 'docs/results/browser.md' },
  },
})
const executablePath = findBrowser()
if (executablePath === undefined) throw new Error('expected a Chromium (set CHROMIUM_PATH)')
const folder = await mkdtemp(join(tmpdir(), 'espalier-bench-'))
const model = positionals[0] ?? join(folder, 'model')
if (positionals.length === 0) {
  const rows = await readDataset(fileURLToPath(new URL('../data/clinc150/train.jsonl.gz', import.meta.url)))
  await (await train(rows, { threads: 1, out: model })).close()
}
const here = await loadClassifier(model)
const [expected] = await predict(here, [flags.text])
await here.close()

const bundle = await bundlePage(folder)
const server = await serveFolders({ '': bundle.folder, model }, false)
const browser = await chromium.launch({ executablePath, args: browserArguments })
interface Visit {
  /** Milliseconds from the navigation to the answer. */
  answered: number
  path: string[]
  /** Bytes of what the page fetched. */
  bytes: number
}
const visits: Visit[] = []
const loads: number[] = []
for (let run = 0; run < Number(flags.repeats); run++) {
  const context = await browser.newContext()
  const page = await context.newPage()
  loads.push(loadavg()[0]!)
  await page.goto(server.url)
  await page.waitForFunction('globalThis.espalier')
  const visit = await page.evaluate<Visit>(`(async () => {
    const model = await espalier.loadClassifier('/model/')
    const [{ path }] = await model.predict([${JSON.stringify(flags.text)}])
    const answered = performance.now()
    const fetched = performance.getEntriesByType('resource').map(({ encodedBodySize }) => encodedBodySize)
    return { answered, path, bytes: fetched.reduce((sum, size) => sum + size, 0) }
  })()`)
  if (visit.path.join() !== expected!.path.join())
    throw new Error(`expected the answer ${expected!.path.join(' > ')}, received ${visit.path.join(' > ')}`)
  visits.push(visit)
  console.log(`${visit.answered.toFixed(0)} ms`)
  await context.close()
}
const version = browser.version()
await browser.close()
await server.close()
let modelBytes = 0
for (const name of await readdir(model)) modelBytes += (await stat(join(model, name))).size
await rm(folder, { recursive: true })

const times = visits.map(({ answered }) => answered)
const slow = times.filter((time) => time >= most.milliseconds).length
const small = modelBytes < most.bytes
const mega = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
await writePage(
  flags.out,
  `# An ngram model in a browser

From the navigation to the first answer ("${flags.text}" is ${expected!.path.join(' › ')}, as in Node), each time in a fresh browser context with
nothing cached, files from a server on the same machine, uncompressed.

${table(
  ['the model', 'all that the page fetches', 'first answer: median', 'least to most', 'pages'],
  [
    [
      mega(modelBytes),
      mega(visits[0]!.bytes),
      `${median(times).toFixed(0)} ms`,
      `${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms`,
      String(times.length),
    ],
  ],
)}

Wanted: a model below ${mega(most.bytes)} that answers within ${most.milliseconds / 1000} s. The model is ${small ? 'small enough' : 'TOO LARGE'}; ${
    slow === 0 ? 'every page was within the time' : `${slow} of ${times.length} pages took LONGER`
  }.
Load of the machine while they opened (2 cores): ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}.

${provenance(`npx tsx bench/browser.ts --repeats ${flags.repeats}`).join('\n')}
- browser: Chromium ${version}, headless`,
)
