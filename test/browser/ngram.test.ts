/** An ngram model that was trained and saved in Node gives the same logits in a browser, from its two files alone. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { headTargets } from '../../src/labels/head-targets.ts'
import { LabelTree } from '../../src/labels/label-tree.ts'
import { NgramModel } from '../../src/models/ngram.ts'
import { saveNgramModel } from '../../src/models/ngram-files.ts'
import { trainLinear } from '../../src/train/linear.ts'
import { browserArguments, findBrowser } from './chromium.ts'

const dist = fileURLToPath(new URL('../../dist', import.meta.url))
const tree = new LabelTree(['fruit', 'city', 'colour'].map((name) => ({ key: name, name, parents: [] })))
const words = { fruit: ['apple', 'pear', '桃子'], city: ['Lima', 'Oslo', '東京'], colour: ['red', 'blue', 'grün'] }
const rows = Object.entries(words).flatMap(([name, list]) =>
  list.flatMap((word) =>
    [`the ${word}`, `${word}, please`, `I like ${word} 😀`].map((text) => ({ text, label: tree.find([name])! })),
  ),
)
const texts = ['an apple', 'I like 東京', 'grüne Birne', '']

let folder: string
let model: NgramModel
beforeAll(async () => {
  const layout = {
    activation: 'softmax' as const,
    unitNodes: Int32Array.from(tree.leaves),
    groups: [{ parent: -1, start: 0, end: tree.size }],
  }
  const targets = headTargets(
    layout,
    tree,
    rows.map((row) => [row.label]),
  ) // prettier-ignore
  model = (await trainLinear({ texts: rows.map((row) => row.text), layout, targets, threads: 1 })).model
  folder = await mkdtemp(join(tmpdir(), 'espalier-browser-'))
  await saveNgramModel(model, folder)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('from bytes in Node', async () => {
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>
  const bytes = await readFile(join(folder, 'model.safetensors'))
  expect((await NgramModel.fromBytes(config, bytes)).score(texts)).toEqual(model.score(texts))
  await expect(NgramModel.fromBytes(config, bytes.subarray(0, 1000))).rejects.toMatchObject({
    code: 'SAFETENSORS_TRUNCATED',
  })
})

const executablePath = findBrowser()
test.skipIf(!executablePath)('in a browser', async () => {
  const types: Record<string, string> = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' }
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (path === '/')
      return void response.setHeader('content-type', 'text/html').end('<!doctype html><title>ngram</title>')
    try {
      const body = await readFile(path.startsWith('/model/') ? join(folder, path.slice(7)) : join(dist, path))
      response.setHeader('content-type', types[extname(path)] ?? 'application/octet-stream').end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await chromium.launch({ executablePath: executablePath!, args: browserArguments })
  try {
    const tab = await browser.newPage()
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const logits = await tab.evaluate<number[]>(`(async () => {
      const { NgramModel } = await import('/models/ngram.js')
      const [config, file] = await Promise.all([fetch('/model/config.json'), fetch('/model/model.safetensors')])
      const model = await NgramModel.fromBytes(await config.json(), new Uint8Array(await file.arrayBuffer()))
      return [...model.score(${JSON.stringify(texts)})]
    })()`)
    expect(Float32Array.from(logits)).toEqual(model.score(texts))
  } finally {
    await browser.close()
    await new Promise((resolve) => server.close(resolve))
  }
})
