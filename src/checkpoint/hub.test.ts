import { createHash } from 'node:crypto'
import { cp, lstat, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Progress } from '../util/progress.ts'
import { openCheckpoint } from './checkpoint.ts'
import { downloadModel } from './hub.ts'
import { hubCacheFolder, hubOffline, hubToken } from './hub-cache.ts'

const fixtures = new URL('../../test/fixtures/checkpoints/', import.meta.url)
const commit = '0123456789abcdef0123456789abcdef01234567'

/** A Hub on the loopback with one model, tiny/bert, and faults that tests switch on. */
interface FakeHub {
  files: Map<string, Buffer>
  requests: string[]
  tokens: Set<string>
  /** Called before a download is answered; true if it has answered. */
  fault?: (path: string, response: ServerResponse, from: number) => boolean
}
let hub: FakeHub
let server: Server
let cache = ''

const isLarge = (path: string) => path.endsWith('.safetensors')
const etagOf = (path: string, content: Buffer) =>
  isLarge(path)
    ? createHash('sha256').update(content).digest('hex')
    : createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, 'http://hub')
  hub.requests.push(`${request.method} ${url.pathname}${request.headers.range ? ` ${request.headers.range}` : ''}`)
  const json = (status: number, value: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  if (hub.tokens.size > 0 && !hub.tokens.has(request.headers.authorization ?? ''))
    return void json(401, { error: 'Invalid username or password.' })
  if (url.pathname.startsWith('/api/models/tiny/bert/revision/')) {
    const revision = decodeURIComponent(url.pathname.split('/')[6]!)
    if (!['main', 'v1/stable', commit].includes(revision))
      return void json(404, { error: `Invalid rev id: ${revision}` })
    return void json(200, { _id: '1', id: 'tiny/bert', sha: commit, lastModified: '2024-01-01T00:00:00Z' })
  }
  if (url.pathname === `/api/models/tiny/bert/tree/${commit}`)
    return void json(
      200,
      [...hub.files].map(([path, content]) => ({
        type: 'file',
        path,
        size: content.length,
        oid: isLarge(path) ? 'f'.repeat(40) : etagOf(path, content),
        ...(isLarge(path) && { lfs: { oid: etagOf(path, content), size: content.length, pointerSize: 134 } }),
      })),
    )
  const path = url.pathname.replace(`/tiny/bert/resolve/${commit}/`, '')
  const content = hub.files.get(path)
  if (!content) return void json(404, { error: 'Repository not found' })
  const [from, to] = /bytes=(\d+)-(\d*)/
    .exec(request.headers.range ?? '')
    ?.slice(1)
    .map(Number) ?? [0, 0]
  const end = request.headers.range && to ? to + 1 : request.headers.range === 'bytes=0-0' ? 1 : content.length
  const probe = request.headers.range === 'bytes=0-0'
  if (!probe && hub.fault?.(path, response, from!)) return
  response.writeHead(request.headers.range ? 206 : 200, {
    etag: `"${etagOf(path, content)}"`,
    'content-length': end - from!,
    ...(request.headers.range && { 'content-range': `bytes ${from}-${end - 1}/${content.length}` }),
  })
  response.end(content.subarray(from, end))
}

/** Sends `count` bytes of the content, then cuts the connection. */
function cutAfter(response: ServerResponse, content: Buffer, from: number, count: number): true {
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': content.length - from,
    'content-range': `bytes ${from}-${content.length - 1}/${content.length}`,
  })
  response.write(content.subarray(from, from + count), () => setTimeout(() => response.destroy(), 20))
  return true
}

beforeAll(async () => {
  server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => server.close())

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'espalier-hub-'))
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  vi.stubEnv('HF_HUB_CACHE', cache)
  vi.stubEnv('HF_HOME', cache)
  vi.stubEnv('HF_TOKEN', '')
  vi.stubEnv('HF_HUB_OFFLINE', '')
  hub = { files: new Map(), requests: [], tokens: new Set() }
  for (const name of ['config.json', 'model.safetensors'])
    hub.files.set(name, await readFile(new URL(`tiny-bert/${name}`, fixtures)))
  for (const name of ['tokenizer.json', 'README.md', 'pytorch_model.bin', 'onnx/model.onnx'])
    hub.files.set(name, Buffer.from(`{"of":"${name}"}`))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(cache, { recursive: true })
})

const model = () => hub.files.get('model.safetensors')!

describe('downloading', () => {
  test('only what is needed, in the layout that Python shares', async () => {
    const seen: Progress[] = []
    const folder = await downloadModel('hf:tiny/bert', { onProgress: (progress) => seen.push(progress) })
    expect(folder).toBe(join(cache, 'models--tiny--bert', 'snapshots', commit))
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json'])
    expect(await readFile(join(cache, 'models--tiny--bert', 'refs', 'main'), 'utf8')).toBe(commit)
    expect((await readdir(join(cache, 'models--tiny--bert', 'blobs'))).sort()).toEqual(
      ['config.json', 'model.safetensors', 'tokenizer.json'].map((name) => etagOf(name, hub.files.get(name)!)).sort(),
    )
    expect((await lstat(join(folder, 'model.safetensors'))).isSymbolicLink()).toBe(true)
    const needed = ['config.json', 'model.safetensors', 'tokenizer.json'].reduce(
      (sum, name) => sum + hub.files.get(name)!.length,
      0,
    )
    expect(seen.at(-1)).toMatchObject({ done: needed, total: needed, unit: 'bytes' })
    expect(seen.every(({ done }, i) => i === 0 || done >= seen[i - 1]!.done)).toBe(true)
    const checkpoint = await openCheckpoint('hf:tiny/bert')
    expect(checkpoint.tensors.size).toBe(41)
    await checkpoint.close()
  })

  test('nothing twice; a changed file alone anew', async () => {
    await downloadModel('hf:tiny/bert@v1/stable')
    hub.requests = []
    const folder = await downloadModel(`hf:tiny/bert@${commit}`)
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toEqual([])
    expect(await readFile(join(cache, 'models--tiny--bert', 'refs', 'v1', 'stable'), 'utf8')).toBe(commit)
    await rm(join(folder, 'model.safetensors')) // the link only: its blob is still there
    await downloadModel('hf:tiny/bert')
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toEqual([])
    expect((await stat(join(folder, 'model.safetensors'))).size).toBe(model().length)
  })

  test('shards by their index, an adapter with its config', async () => {
    hub.files.clear()
    for (const name of await readdir(new URL('tiny-bert-sharded/', fixtures)))
      hub.files.set(name, await readFile(new URL(`tiny-bert-sharded/${name}`, fixtures)))
    hub.files.set('other.safetensors', Buffer.from('x'))
    const folder = await downloadModel('hf:tiny/bert')
    expect((await readdir(folder)).length).toBe(4)
    const checkpoint = await openCheckpoint(folder)
    expect(checkpoint.files.length).toBe(2)
    await checkpoint.close()
    hub.files.clear()
    for (const name of await readdir(new URL('tiny-lora/', fixtures)))
      hub.files.set(name, await readFile(new URL(`tiny-lora/${name}`, fixtures)))
    await rm(cache, { recursive: true })
    expect((await readdir(await downloadModel('hf:tiny/bert'))).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ])
  })

  test('the token goes along', async () => {
    hub.tokens.add('Bearer hf_secret')
    vi.stubEnv('HF_TOKEN', 'hf_secret')
    await downloadModel('hf:tiny/bert')
    vi.stubEnv('HF_TOKEN', '')
    await writeFile(join(cache, 'token'), 'hf_secret\n') // as hf auth login saves it under HF_HOME
    await downloadModel('hf:tiny/bert')
  })
})

describe('faults', () => {
  test('a cut connection goes on where it stopped', async () => {
    let cuts = 0
    hub.fault = (path, response, from) => isLarge(path) && cuts++ < 2 && cutAfter(response, model(), from, 3000)
    const folder = await downloadModel('hf:tiny/bert')
    expect((await readFile(join(folder, 'model.safetensors'))).equals(model())).toBe(true)
    const ranges = hub.requests.filter((line) => line.includes('safetensors bytes=') && !line.endsWith('bytes=0-0'))
    expect(ranges).toEqual(
      [3000, 6000].map(
        (from) => `GET /tiny/bert/resolve/${commit}/model.safetensors bytes=${from}-${model().length - 1}`,
      ),
    )
  })

  test('a download that was given up goes on in the next run', async () => {
    const controller = new AbortController()
    hub.fault = (path, response, from) => {
      if (!isLarge(path)) return false
      setTimeout(() => controller.abort(), 100)
      response.writeHead(200, { 'content-length': model().length })
      response.write(model().subarray(from, 5000)) // and then silence
      return true
    }
    await expect(downloadModel('hf:tiny/bert', { signal: controller.signal })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    })
    delete hub.fault
    hub.requests = []
    await downloadModel('hf:tiny/bert')
    expect(hub.requests.filter((line) => line.includes(`bytes=5000-`)).length).toBe(1)
  })

  test('a changed incomplete file is noticed by its hash and fetched anew', async () => {
    await downloadModel('hf:tiny/bert')
    const blobs = join(cache, 'models--tiny--bert', 'blobs')
    const blob = join(blobs, etagOf('model.safetensors', model()))
    await cp(blob, `${blob}.incomplete`)
    await rm(blob)
    await truncate(`${blob}.incomplete`, 4000)
    const bytes = await readFile(`${blob}.incomplete`)
    bytes[3000]! ^= 1
    await writeFile(`${blob}.incomplete`, bytes)
    const folder = await downloadModel('hf:tiny/bert')
    expect((await readFile(join(folder, 'model.safetensors'))).equals(model())).toBe(true)
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['another content of the same size', (response) => response.end(Buffer.alloc(model().length))],
    ['more bytes than announced', (response) => response.end(Buffer.alloc(model().length + 1))],
  ])('%s is never kept', async (_, send) => {
    hub.fault = (path, response) => {
      if (!isLarge(path)) return false
      send(response.writeHead(200))
      return true
    }
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({ code: 'HUB_CORRUPT' })
    const names = await readdir(join(cache, 'models--tiny--bert', 'snapshots', commit))
    expect(names).not.toContain('model.safetensors')
  })

  test('an endless series of cuts ends', async () => {
    hub.fault = (path, response) => isLarge(path) && Boolean(response.destroy())
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE', exitCode: 1 })
  }, 30_000)

  test('an error in the middle of the download', async () => {
    hub.fault = (path, response) => isLarge(path) && Boolean(response.writeHead(503).end())
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({ code: 'HUB_FAILED', data: { status: 503 } })
  })

  test('no access, no such model, no such revision', async () => {
    await expect(downloadModel('hf:tiny/none')).rejects.toMatchObject({
      code: 'HUB_NOT_FOUND',
      where: { file: 'hf:tiny/none' },
    })
    await expect(downloadModel('hf:tiny/bert@v9')).rejects.toMatchObject({
      code: 'HUB_NOT_FOUND',
      message: expect.stringContaining('v9'),
    })
    hub.tokens.add('Bearer other')
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({
      code: 'HUB_ACCESS',
      help: expect.stringContaining('HF_TOKEN'),
    })
    vi.stubEnv('HF_TOKEN', 'wrong')
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({ code: 'HUB_TOKEN' })
    vi.stubEnv('HF_TOKEN', 'hf_wrong')
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({
      code: 'HUB_ACCESS',
      help: expect.stringContaining('terms'),
    })
  })

  test('no safetensors: refused before anything is fetched', async () => {
    hub.files.delete('model.safetensors')
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({
      code: 'CHECKPOINT_FORMAT',
      where: { file: 'hf:tiny/bert/pytorch_model.bin' },
    })
    hub.files.delete('pytorch_model.bin')
    hub.files.delete('onnx/model.onnx')
    await expect(downloadModel('hf:tiny/bert')).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' })
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toEqual([])
  })

  test('offline and without network the cache serves', async () => {
    await expect(downloadModel('hf:tiny/bert', { offline: true })).rejects.toMatchObject({ code: 'HUB_OFFLINE' })
    const folder = await downloadModel('hf:tiny/bert')
    hub.requests = []
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    expect(await downloadModel('hf:tiny/bert')).toBe(folder)
    await expect(downloadModel('hf:tiny/bert@other')).rejects.toMatchObject({ code: 'HUB_OFFLINE' })
    expect(hub.requests).toEqual([])
    vi.stubEnv('HF_HUB_OFFLINE', '')
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:1')
    const notes: (string | undefined)[] = []
    expect(await downloadModel('hf:tiny/bert', { onProgress: ({ note }) => notes.push(note) })).toBe(folder)
    expect(notes).toEqual([expect.stringContaining('from the cache')])
    await expect(downloadModel('hf:tiny/other')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' })
  })

  test.each([
    'hf:',
    'hf:a/b/c',
    'hf:../x',
    'hf:a/..',
    'hf:a/b@',
    'hf:a/b@../../x',
    'hf:a b',
    'hf:a/b@x@y',
    'hf:a/b@/etc',
  ])('%j is no reference', async (reference) => {
    await expect(downloadModel(reference)).rejects.toMatchObject({ code: 'HUB_REFERENCE' })
  })
})

test('environment variables, as huggingface_hub reads them', async () => {
  expect(hubCacheFolder({ HF_HUB_CACHE: '/c', HF_HOME: '/h' })).toBe('/c')
  expect(hubCacheFolder({ HF_HOME: '/h' })).toBe(join('/h', 'hub'))
  expect(hubCacheFolder({ XDG_CACHE_HOME: '/x' })).toBe(join('/x', 'huggingface', 'hub'))
  expect(hubCacheFolder({})).toMatch(/\.cache.huggingface.hub$/)
  for (const value of ['1', 'ON', 'yes', 'True']) expect(hubOffline({ HF_HUB_OFFLINE: value })).toBe(true)
  for (const value of ['0', '', 'no']) expect(hubOffline({ HF_HUB_OFFLINE: value })).toBe(false)
  expect(await hubToken({ HF_TOKEN: ' a ', HF_HOME: cache })).toBe('a')
  expect(await hubToken({ HF_HOME: join(cache, 'none') })).toBeUndefined()
})
