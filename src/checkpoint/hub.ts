/** Downloads models from the Hugging Face Hub through @huggingface/hub: only the files that are needed, resumed, verified, into the shared cache. */
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EspalierError, InputError, RunError, systemError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { foreignByName } from './foreign-formats.ts'
import { hubCacheFolder, hubOffline, hubToken, ModelCache, matchesEtag } from './hub-cache.ts'
import { indexFileName, readShardIndex } from './shards.ts'
import { isCompanion } from './write-checkpoint.ts'

export interface DownloadOptions extends RunOptions {
  /** Use the cache only (default: as HF_HUB_OFFLINE says). */
  offline?: boolean
  /** Where the cache is (default: as HF_HUB_CACHE and HF_HOME say). */
  cacheFolder?: string
}

type Hub = typeof import('@huggingface/hub')

interface HubFile {
  path: string
  size: number
  etag: string
}

/** What every request needs. */
interface Access {
  hub: Hub
  name: string
  revision: string
  params: { hubUrl: string; fetch: typeof fetch; accessToken?: string }
}

/** Attempts for one file as long as each brings some bytes. */
const attempts = 5

/**
 * Downloads `hf:ORG/NAME[@REVISION]` (a branch, a tag or a commit; default `main`) and returns its folder in the cache: config.json,
 * tokenizer files and safetensors, nothing else. What is in the cache is not fetched again; a cut download goes on where it stopped.
 * HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN and HF_HUB_OFFLINE are honoured.
 *
 * Throws InputError `HUB_REFERENCE`, `HUB_TOKEN`, `HUB_ACCESS`, `HUB_NOT_FOUND`, `HUB_OFFLINE`, `CHECKPOINT_FORMAT`; RunError `HUB_UNREACHABLE`,
 * `HUB_FAILED`, `HUB_CORRUPT`, and errors of the disk.
 *
 * @example
 * const folder = await downloadModel('hf:sentence-transformers/all-MiniLM-L6-v2')
 */
export async function downloadModel(reference: string, options: DownloadOptions = {}): Promise<string> {
  const { name, revision } = parseReference(reference)
  const cache = new ModelCache(options.cacheFolder ?? hubCacheFolder(), name)
  if (options.offline ?? hubOffline()) {
    const found = await cache.find(revision)
    if (found) return found
    throw new InputError('HUB_OFFLINE', `${name} is not in the cache, and the network is switched off`, {
      where: { file: cache.folder },
      help: 'unset HF_HUB_OFFLINE to download it once',
    })
  }
  const accessToken = await hubToken()
  if (accessToken && !accessToken.startsWith('hf_'))
    throw new InputError('HUB_TOKEN', 'HF_TOKEN is no access token: expected it to begin with "hf_"', {
      help: `make one at https://huggingface.co/settings/tokens, or unset HF_TOKEN`,
    })
  const withSignal: typeof fetch = (url, init) =>
    fetch(url, { ...init, ...(options.signal && { signal: options.signal }) })
  const access: Access = {
    hub: await import('@huggingface/hub'),
    name,
    revision,
    params: {
      hubUrl: (process.env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/$/, ''),
      fetch: withSignal,
      ...(accessToken && { accessToken }),
    },
  }
  try {
    return await fetchSnapshot(access, cache, options)
  } catch (error) {
    throwIfAborted(options.signal)
    const typed = hubError(error, access)
    const found = typed.code === 'HUB_UNREACHABLE' ? await cache.find(revision) : undefined
    if (!found) throw typed
    options.onProgress?.({
      step: 'download',
      done: 0,
      note: `the Hub cannot be reached: ${name} is taken from the cache`,
    })
    return found
  }
}

function parseReference(reference: string): { name: string; revision: string } {
  const parts = /^hf:((?:[\w.-]+\/)?[\w.-]+)(?:@([\w./-]+))?$/.exec(reference)
  const segments = `${parts?.[1] ?? '..'}/${parts?.[2] ?? 'main'}`.split('/')
  if (!parts || segments.some((segment) => segment === '' || /^\.+$/.test(segment)))
    throw new InputError(
      'HUB_REFERENCE',
      `Expected hf:ORG/NAME or hf:ORG/NAME@REVISION, received ${JSON.stringify(reference.slice(0, 200))}`,
      {
        help: 'for example hf:sentence-transformers/all-MiniLM-L6-v2',
      },
    )
  return { name: parts[1]!, revision: parts[2] ?? 'main' }
}

async function fetchSnapshot(access: Access, cache: ModelCache, options: DownloadOptions): Promise<string> {
  const { hub, name, revision, params } = access
  const { sha: commit } = await hub.modelInfo({ name, revision, additionalFields: ['sha'], ...params })
  if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit))
    throw new RunError('HUB_FAILED', 'The Hub named no commit for this model', {
      help: 'check HF_ENDPOINT',
      data: { name, revision },
    })
  const files = new Map<string, HubFile>()
  for await (const entry of hub.listFiles({ repo: name, revision: commit, ...params })) {
    const etag = entry.lfs?.oid ?? entry.oid
    if (entry.type === 'file' && etag && !/[/\\]/.test(entry.path))
      files.set(entry.path, { path: entry.path, size: entry.lfs?.size ?? entry.size, etag })
  }
  const weights = weightFiles(files, access)
  const first = [...files.keys()].filter(
    (path) => path === 'config.json' || path === 'adapter_config.json' || isCompanion(path),
  )
  const download = new Download(access, cache, commit, options)
  if (weights.includes(indexFileName)) {
    await download.fetch([files.get(indexFileName)!])
    const shards = new Set((await readShardIndex(join(cache.snapshot(commit), indexFileName))).values())
    for (const shard of shards) {
      if (!files.has(shard))
        throw new InputError('SHARD_MISSING', `The repository has no ${shard}, which its index names`, {
          help: 'tell the authors of the model',
          data: { name },
        })
      weights.push(shard)
    }
  }
  await download.fetch([...first, ...weights].map((path) => files.get(path)!))
  await cache.remember(revision, commit)
  return cache.snapshot(commit)
}

/** The safetensors file, the index, or the adapter of a repository. */
function weightFiles(files: ReadonlyMap<string, HubFile>, { name }: Access): string[] {
  for (const choice of ['model.safetensors', indexFileName, 'adapter_model.safetensors'])
    if (files.has(choice)) return [choice]
  const others = [...files.keys()].filter((path) => path.endsWith('.safetensors'))
  if (others.length > 0) return others
  for (const path of files.keys()) {
    const foreign = foreignByName(path)
    if (foreign)
      throw new InputError(foreign.code, foreign.message, {
        where: { file: `hf:${name}/${path}` },
        help: foreign.help ?? '',
        data: foreign.data,
      })
  }
  throw new InputError('CHECKPOINT_MISSING', 'The repository holds no safetensors', {
    where: { file: `hf:${name}` },
    help: 'choose another model, or another revision',
  })
}

/** Fetches files of one commit, with one account of bytes. */
class Download {
  private done = 0
  private total = 0
  private readonly access: Access
  private readonly cache: ModelCache
  private readonly commit: string
  private readonly options: DownloadOptions

  constructor(access: Access, cache: ModelCache, commit: string, options: DownloadOptions) {
    this.access = access
    this.cache = cache
    this.commit = commit
    this.options = options
  }

  private report(bytes: number): void {
    this.done += bytes
    this.options.onProgress?.({
      step: `download ${this.access.name}`,
      done: this.done,
      total: this.total,
      unit: 'bytes',
    })
  }

  async fetch(files: HubFile[]): Promise<void> {
    const missing: HubFile[] = []
    for (const file of files)
      if (!(await this.cache.linkIfPresent(this.commit, file.path, file.etag, file.size))) missing.push(file)
    this.total += missing.reduce((sum, { size }) => sum + size, 0)
    for (const file of missing) {
      const before = this.done
      await this.fetchOne(file)
      this.report(before + file.size - this.done)
      await this.cache.linkIfPresent(this.commit, file.path, file.etag, file.size)
    }
  }

  /** Fetches one blob: goes on with an incomplete one, and starts anew once if the result does not match its hash. */
  private async fetchOne(file: HubFile): Promise<void> {
    const blob = this.cache.blob(file.etag)
    const incomplete = `${blob}.incomplete`
    await mkdir(dirname(blob), { recursive: true })
    for (let fresh = false; ; fresh = true) {
      const resumed = await this.fill(file, incomplete)
      const { size } = await stat(incomplete)
      if (size === file.size && (await matchesEtag(incomplete, file.etag))) return rename(incomplete, blob)
      await rm(incomplete, { force: true })
      this.report(-file.size)
      if (fresh || !resumed)
        throw new RunError('HUB_CORRUPT', 'The downloaded file is not the one that the Hub announced', {
          where: { file: `hf:${this.access.name}/${file.path}` },
          help: 'try again later; a proxy may be changing downloads',
          data: { expected: file.size, received: size },
        })
    }
  }

  /** Appends to the incomplete file until it has all bytes; true if it held some before. */
  private async fill(file: HubFile, incomplete: string): Promise<boolean> {
    const sizeNow = async () => (await stat(incomplete).catch(() => undefined))?.size ?? 0
    const start = await sizeNow()
    this.report(Math.min(start, file.size))
    for (let attempt = 1, have = start; have < file.size; attempt++) {
      try {
        await this.append(file, incomplete, have)
        const now = await sizeNow()
        if (now <= have) throw new Error('the connection was closed')
        have = now
      } catch (error) {
        throwIfAborted(this.options.signal)
        const now = await sizeNow()
        const typed = hubError(error, this.access)
        if (typed.code !== 'HUB_UNREACHABLE' || attempt >= attempts) throw typed
        await sleep(
          now > have ? 100 : 100 * 2 ** attempt,
          undefined,
          this.options.signal && { signal: this.options.signal },
        ).catch(() => undefined)
        throwIfAborted(this.options.signal)
        have = now
      }
    }
    return start > 0
  }

  private async append(file: HubFile, incomplete: string, start: number): Promise<void> {
    const { hub, name, params } = this.access
    const where = { repo: name, path: file.path, revision: this.commit, ...params }
    const info = await hub.fileDownloadInfo(where)
    const whole = info && (await hub.downloadFile({ ...where, downloadInfo: info }))
    if (!info || !whole) throw new hub.HubApiError(file.path, 404)
    if (info.size !== file.size)
      throw new RunError(
        'HUB_CORRUPT',
        `The Hub announced ${file.size.toLocaleString('en-US')} bytes and offers ${info.size.toLocaleString('en-US')}`,
        {
          where: { file: `hf:${name}/${file.path}` },
          help: 'try again later',
        },
      )
    const part = start === 0 ? whole : whole.slice(start)
    const report = (bytes: number) => this.report(bytes)
    const counted = async function* (source: AsyncIterable<Uint8Array>) {
      let left = file.size - start
      for await (const bytes of source) {
        if (bytes.length > left)
          throw new RunError('HUB_CORRUPT', 'The Hub sent more bytes than it announced', {
            where: { file: file.path },
            help: 'try again later',
          })
        left -= bytes.length
        report(bytes.length)
        yield bytes
      }
    }
    await pipeline(
      Readable.fromWeb(part.stream() as ReadableStream),
      counted,
      createWriteStream(incomplete, { flags: 'a' }),
    )
  }
}

/** Any failure of a request as a typed error. */
function hubError(error: unknown, { name, revision, params }: Access): EspalierError {
  const known = systemError(error)
  if (known) return known
  const where = { file: `hf:${name}${revision === 'main' ? '' : `@${revision}`}` }
  const status =
    (error as { statusCode?: unknown }).statusCode ?? Number(/status (\d{3})/.exec(String(error))?.[1] ?? Number.NaN)
  if (status === 401 || status === 403)
    return new InputError(
      'HUB_ACCESS',
      `The Hub gives no access to ${name}: it is private or gated, or does not exist`,
      {
        where,
        help: params.accessToken
          ? `check the name, and accept the model's terms at ${params.hubUrl}/${name}`
          : 'check the name, and set HF_TOKEN (or run: hf auth login)',
        data: { status },
      },
    )
  if (status === 404)
    return new InputError(
      'HUB_NOT_FOUND',
      `The Hub has no ${name}${revision === 'main' ? '' : ` at revision ${revision}`}`,
      {
        where,
        help: 'check the name and the revision',
        data: { status },
      },
    )
  if (typeof status === 'number' && Number.isFinite(status))
    return new RunError('HUB_FAILED', `The Hub answered with status ${status}`, {
      where,
      help: status === 429 ? 'wait a while, or set HF_TOKEN' : 'try again later',
      data: { status },
      cause: error,
    })
  const cause = (error as { cause?: { code?: unknown } } | undefined)?.cause?.code
  if (
    !/fetch failed|terminated|closed|network|socket|premature|ECONN|ETIMEDOUT|ENOTFOUND|EAI_|UND_ERR/i.test(
      `${error} ${cause}`,
    )
  )
    return new RunError(
      'HUB_FAILED',
      `The Hub's answer could not be used: ${error instanceof Error ? error.message : String(error)}`,
      {
        where,
        help: 'try again later',
        cause: error,
      },
    )
  return new RunError('HUB_UNREACHABLE', `The connection to ${params.hubUrl} failed`, {
    where,
    help: 'check the network; a started download goes on where it stopped',
    cause: error,
  })
}
