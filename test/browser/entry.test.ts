/** `espalier/browser` in headless Chromium: a bundle without Node, predictions equal to Node's, training in a worker, models saved and opened again. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type * as Espalier from '../../src/browser/index.ts'
import { zipFiles } from '../../src/browser/index.ts'
import { openClassifier } from '../../src/browser/open.ts'
import { trainHere } from '../../src/browser/train.ts'
import { readSafetensorsBytes } from '../../src/checkpoint/safetensors-bytes.ts'
import { writeSafetensors } from '../../src/checkpoint/write-safetensors.ts'
import { loadClassifier } from '../../src/classify/load-classifier.ts'
import type { Prediction } from '../../src/classify/options.ts'
import { predict } from '../../src/classify/predict.ts'
import { train } from '../../src/classify/train.ts'
import { datasetOf, readDataset } from '../../src/data/dataset.ts'
import { tickets } from '../cli/tickets.ts'
import { type Bundle, bundlePage, serveFolders } from './bundle.ts'
import { browserArguments, findBrowser } from './chromium.ts'

/** What the bundled page has. */
declare const espalier: typeof Espalier
/** Bytes as base64: what crosses from page to test quickly. */
declare const base64: (bytes: Uint8Array) => Promise<string>

const texts = ['where is my invoice', 'the app closing again 😀', 'パスワード', 'money back, please!']
const rows = tickets.map(({ text, labels }) => ({ text, labels }))

let folder = ''
let ngramFolder = ''
let miniFolder = ''
let bundle: Bundle
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-browser-'))
  ngramFolder = join(folder, 'clinc')
  miniFolder = join(folder, 'mini')
  const clinc = await (
    await readDataset(new URL('../../data/clinc150/train.jsonl.gz', import.meta.url).pathname)
  ).collect()
  const some = datasetOf(clinc.filter((_, index) => index % 10 === 0))
  await (await train(some, { threads: 1, out: ngramFolder })).close()
  const mini = await train(datasetOf(rows), { encoder: 'mini', epochs: 1, threads: 1, out: miniFolder })
  await mini.close()
  bundle = await bundlePage(folder)
}, 180_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

async function filesOf(path: string): Promise<Map<string, Uint8Array>> {
  const names = await readdir(path)
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(path, name))] as const)))
}

function expectSame(actual: readonly Prediction[], expected: readonly Prediction[], tolerance: number): void {
  expect(actual.map(({ path }) => path)).toEqual(expected.map(({ path }) => path))
  for (const [i, { confidence }] of expected.entries())
    for (const [k, value] of confidence.entries())
      expect(Math.abs(actual[i]!.confidence[k]! - value)).toBeLessThanOrEqual(tolerance)
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

async function nodeAnswers(path: string): Promise<Prediction[]> {
  const model = await loadClassifier(path, { threads: 1 })
  const answers = await predict(model, texts, { topK: 3 })
  await model.close()
  return answers
}

describe('the bundle', () => {
  test('asks for nothing of Node', () => {
    expect(bundle.code).not.toMatch(
      /from\s*["']node:|import\(\s*["']node:|__vite-browser-external|onnxruntime-node["']\)/,
    )
    expect(bundle.warnings.filter((warning) => /externalized|node:/.test(warning))).toEqual([])
  })

  test('has the kernels and the runtime beside it; an ngram page needs little of it', () => {
    const names = bundle.files.map(({ name }) => name)
    for (const kernel of ['ngrams', 'sparse-score', 'adamw', 'ort-wasm-simd-threaded'])
      expect(names.some((name) => name.startsWith(kernel) && name.endsWith('.wasm'))).toBe(true)
    expect(names.some((name) => name.startsWith('worker') && name.endsWith('.js'))).toBe(true)
  })
})

describe('without a browser', () => {
  test('an ngram model from its files answers as from its folder, bit for bit', async () => {
    const model = await openClassifier(await filesOf(ngramFolder))
    expect(await model.predict(texts, { topK: 3 })).toEqual(await nodeAnswers(ngramFolder))
    await expect(model.embed(texts)).rejects.toMatchObject({ code: 'ENCODER_ONLY' })
    await model.close()
  })

  test('files written are files read: same bytes of weights, same answers', async () => {
    for (const path of [ngramFolder, miniFolder]) {
      const model = await openClassifier(await filesOf(path))
      const files = await model.files()
      expect(Buffer.compare(files.get('model.safetensors')!, await readFile(join(path, 'model.safetensors')))).toBe(0)
      const again = join(folder, 'again')
      await mkdir(again, { recursive: true })
      for (const [name, bytes] of files) await writeFile(join(again, name), bytes)
      expect(await nodeAnswers(again)).toEqual(await nodeAnswers(path))
      await model.close()
      await rm(again, { recursive: true })
    }
  })

  test('weights in several files are read as from one', async () => {
    const sharded = join(folder, 'sharded')
    const whole = await filesOf(miniFolder)
    await mkdir(sharded)
    for (const [name, bytes] of whole) if (name !== 'model.safetensors') await writeFile(join(sharded, name), bytes)
    const weights = readSafetensorsBytes(whole.get('model.safetensors')!, 'model.safetensors')
    const names = [...weights.tensors.keys()]
    const halves = [names.slice(0, 10), names.slice(10)]
    const map: Record<string, string> = {}
    for (const [half, own] of halves.entries()) {
      const file = `model-0000${half + 1}-of-00002.safetensors`
      for (const name of own) map[name] = file
      const entries = own.map((name) => ({ ...weights.tensors.get(name)!, data: () => weights.read(name) }))
      await writeSafetensors(join(sharded, file), entries)
    }
    await writeFile(join(sharded, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }))
    const model = await openClassifier(await filesOf(sharded))
    expect(await model.predict(texts)).toEqual(await openClassifier(whole).then((one) => one.predict(texts)))
    await model.close()
    const files = await filesOf(sharded)
    files.delete('model-00002-of-00002.safetensors')
    await expect(openClassifier(files)).rejects.toMatchObject({ code: 'SHARD_MISSING' })
  })

  test('bad folders are refused with typed errors', async () => {
    const files = await filesOf(ngramFolder)
    const without = (name: string) => new Map([...files].filter(([other]) => other !== name))
    await expect(openClassifier(without('config.json'))).rejects.toMatchObject({ code: 'MODEL_FORMAT' })
    await expect(openClassifier(without('model.safetensors'))).rejects.toMatchObject({ code: 'MODEL_FORMAT' })
    const cut = new Map(files).set('model.safetensors', files.get('model.safetensors')!.subarray(0, 2000))
    await expect(openClassifier(cut)).rejects.toMatchObject({ code: 'SAFETENSORS_TRUNCATED' })
    const broken = new Map(files).set('classifier.json', new TextEncoder().encode('{"format": 2}'))
    await expect(openClassifier(broken)).rejects.toMatchObject({ code: 'CLASSIFIER_FORMAT' })
    await expect(openClassifier('http://127.0.0.1:9/none/')).rejects.toMatchObject({ code: 'FETCH_FAILED' })
  })

  test('training options are checked', async () => {
    const encoder = await filesOf(miniFolder)
    await expect(trainHere([], { encoder })).rejects.toMatchObject({ code: 'TRAIN_EMPTY' })
    await expect(trainHere(rows, { encoder, epochs: 0 })).rejects.toMatchObject({ code: 'OPTION_RANGE' })
    await expect(trainHere(rows, { encoder, labels: ['other'] })).rejects.toMatchObject({ code: 'LABEL_UNKNOWN' })
  })

  test('an archive holds the files, and its checksums are right', async () => {
    const files = new Map([
      ['a.txt', new TextEncoder().encode('hello')],
      ['ü.bin', new Uint8Array(1000)],
    ])
    const bytes = Buffer.from(await zipFiles(files, 'm').arrayBuffer())
    expect(bytes.readUInt32LE(0)).toBe(0x04034b50)
    expect(bytes.readUInt32LE(14)).toBe(0x3610a686) // CRC-32 of "hello"
    expect(bytes.subarray(30, 37).toString()).toBe('m/a.txt')
    expect(bytes.subarray(37, 42).toString()).toBe('hello')
    const end = bytes.length - 22
    expect(bytes.readUInt32LE(end)).toBe(0x06054b50)
    expect(bytes.readUInt16LE(end + 10)).toBe(2)
    const directory = bytes.readUInt32LE(end + 16)
    expect(bytes.readUInt32LE(directory)).toBe(0x02014b50)
    expect(bytes.readUInt32LE(end + 12)).toBe(end - directory)
  })
})

const executablePath = findBrowser()
if (!executablePath) console.warn('browser test skipped: no Chromium found (set CHROMIUM_PATH, or install chromium)')

describe.skipIf(!executablePath)('in headless Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath!, args: browserArguments })
  })
  afterAll(() => browser?.close())

  /** A cold page: a context of its own, nothing cached. */
  async function withPage<T>(isolated: boolean, use: (page: Page) => Promise<T>): Promise<T> {
    const server = await serveFolders({ '': bundle.folder, clinc: ngramFolder, mini: miniFolder }, isolated)
    const context = await browser.newContext()
    try {
      const page = await context.newPage()
      const faults: string[] = []
      page.on('pageerror', (error) => faults.push(error.message))
      await page.goto(server.url)
      await page.waitForFunction('globalThis.espalier')
      await page.addScriptTag({
        content: `globalThis.base64 = (bytes) => new Promise((resolve) => {
          const reader = new FileReader()
          reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1))
          reader.readAsDataURL(new Blob([bytes]))
        })`,
      })
      const result = await use(page)
      expect(faults).toEqual([])
      return result
    } finally {
      await context.close()
      await server.close()
    }
  }

  test('an ngram model answers from a cold page, equal to Node', async () => {
    const { bytes, answers, milliseconds } = await withPage(false, async (page) => {
      const answers = await page.evaluate(async (texts) => {
        const model = await espalier.loadClassifier('/clinc/')
        return model.predict(texts, { topK: 3 })
      }, texts)
      const milliseconds = await page.evaluate(() => performance.now())
      return { answers, milliseconds, bytes: (await stat(join(ngramFolder, 'model.safetensors'))).size }
    })
    // Scores are the same; the exponential of the browser's engine may differ in the last digit.
    const expected = await nodeAnswers(ngramFolder)
    expectSame(answers, expected, 1e-12)
    const tops = (list: readonly Prediction[]) => list.map(({ top }) => top.map(({ path }) => path))
    expect(tops(answers)).toEqual(tops(expected))
    expect(bytes).toBeLessThan(5e6)
    console.log(
      `ngram, ${(bytes / 1e6).toFixed(1)} MB: first answers ${milliseconds.toFixed(0)} ms after a cold page began to load`,
    )
  }, 60_000)

  test.each([
    ['in the page', false, false],
    ['in a worker', true, false],
    ['in a worker of an isolated page, with threads', true, true],
  ])(
    'an encoder answers %s as in Node',
    async (_, worker, isolated) => {
      const { answers, info, vectors } = await withPage(isolated, (page) =>
        page.evaluate(
          async ({ texts, worker }) => {
            const model = await espalier.loadClassifier('/mini/', { worker })
            const answers = await model.predict(texts, { topK: 3 })
            const vectors = (await model.embed(texts)).map((vector) => [...vector])
            const { info } = model
            await model.close()
            return { answers, info, vectors }
          },
          { texts, worker },
        ),
      )
      expectSame(answers, await nodeAnswers(miniFolder), 1e-5)
      expect(info).toMatchObject({ kind: 'bert', runtime: 'wasm' })
      if (!isolated) expect(info.threads).toBe(1)
      expect(vectors).toHaveLength(texts.length)
      for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
      const here = await openClassifier(await filesOf(miniFolder))
      for (const [i, vector] of (await here.embed(texts)).entries())
        for (const [k, value] of vector.entries()) expect(Math.abs(vectors[i]![k]! - value)).toBeLessThan(1e-5)
      await here.close()
    },
    60_000,
  )

  test('fine-tuning in a worker lowers the loss while the page stays free; the saved model opens in Node with equal scores', async () => {
    const result = await withPage(true, (page) =>
      page.evaluate(
        async ({ rows, texts }) => {
          // A page that is busy misses its timer's turns.
          let longest = 0
          let last = performance.now()
          const timer = setInterval(() => {
            longest = Math.max(longest, performance.now() - last)
            last = performance.now()
          }, 10)
          const losses: number[] = []
          const start = performance.now()
          const model = await espalier.trainClassifier(rows, {
            encoder: '/mini/',
            epochs: 12,
            lr: 3e-3,
            dev: rows,
            onProgress: ({ metrics }) => void (metrics && losses.push(metrics['loss']!)),
          })
          const seconds = (performance.now() - start) / 1000
          clearInterval(timer)
          const answers = await model.predict(texts, { topK: 3 })
          const files: [string, string][] = []
          for (const [name, bytes] of await model.files()) files.push([name, await base64(bytes)])
          return { losses, longest, seconds, answers, files }
        },
        { rows, texts },
      ),
    )
    const part = Math.floor(result.losses.length / 3)
    expect(result.losses.length).toBe(12 * Math.ceil(rows.length / 16))
    expect(mean(result.losses.slice(-part))).toBeLessThan(0.8 * mean(result.losses.slice(0, part)))
    const saved = join(folder, 'saved')
    await mkdir(saved)
    for (const [name, bytes] of result.files) await writeFile(join(saved, name), Buffer.from(bytes, 'base64'))
    expectSame(await nodeAnswers(saved), result.answers, 1e-5)
    console.log(
      `fine-tuning in a worker: ${result.losses.length} steps in ${result.seconds.toFixed(1)} s, longest pause of the page ${result.longest.toFixed(0)} ms`,
    )
  }, 180_000)

  test('a head alone is trained on an encoder that stays as it is', async () => {
    const { before, after, losses } = await withPage(false, (page) =>
      page.evaluate(async (rows) => {
        const losses: number[] = []
        const bytesOf = async (model: Awaited<ReturnType<typeof espalier.loadClassifier>>) =>
          base64((await model.files()).get('model.safetensors')!)
        const start = await espalier.loadClassifier('/mini/')
        const before = await bytesOf(start)
        const model = await espalier.trainClassifier(rows, {
          encoder: '/mini/',
          train: 'head',
          epochs: 20,
          lr: 1e-2,
          onProgress: ({ metrics }) => void (metrics && losses.push(metrics['loss']!)),
        })
        return { before, after: await bytesOf(model), losses }
      }, rows),
    )
    const third = Math.floor(losses.length / 3)
    expect(mean(losses.slice(-third))).toBeLessThan(0.95 * mean(losses.slice(0, third)))
    const tensorsOf = (bytes: string) => readSafetensorsBytes(Buffer.from(bytes, 'base64'), 'model.safetensors')
    const [a, b] = [tensorsOf(before), tensorsOf(after)]
    const same = async (name: string) => Buffer.compare(await a.read(name), await b.read(name)) === 0
    const changed: string[] = []
    for (const name of a.tensors.keys()) if (!(await same(name))) changed.push(name)
    expect(changed.sort()).toEqual([
      'bert.pooler.dense.bias',
      'bert.pooler.dense.weight',
      'classifier.bias',
      'classifier.weight',
    ])
  }, 180_000)

  test('an abort stops training in the worker', async () => {
    const code = await withPage(false, (page) =>
      page.evaluate(async (rows) => {
        const controller = new AbortController()
        const training = espalier.trainClassifier(rows, {
          encoder: '/mini/',
          epochs: 100,
          signal: controller.signal,
          onProgress: ({ metrics }) => metrics && controller.abort(),
        })
        return training.then(
          () => 'finished',
          (error) => error.code as string,
        )
      }, rows),
    )
    expect(code).toBe('INTERRUPTED')
  }, 120_000)

  test('a folder that is not there is a typed error', async () => {
    const codes = await withPage(false, (page) =>
      page.evaluate(async () => {
        const codeOf = (promise: Promise<unknown>) =>
          promise.then(
            () => 'opened',
            (error) => error.code as string,
          )
        return Promise.all([false, true].map((worker) => codeOf(espalier.loadClassifier('/none/', { worker }))))
      }),
    )
    expect(codes).toEqual(['MODEL_FORMAT', 'MODEL_FORMAT'])
  }, 60_000)
})
