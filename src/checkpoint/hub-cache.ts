/**
 * The cache of the Hugging Face Hub on disk, in the layout that Python's huggingface_hub reads and writes:
 * `models--ORG--NAME/{refs,blobs,snapshots}`, where snapshots hold links to blobs.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { systemError } from '../util/errors.ts'

type Environment = Record<string, string | undefined>

/** The cache folder that the environment names, by huggingface_hub's rules. */
export function hubCacheFolder(environment: Environment = process.env): string {
  return environment['HF_HUB_CACHE'] || environment['HUGGINGFACE_HUB_CACHE'] || join(hubHome(environment), 'hub')
}

function hubHome(environment: Environment): string {
  return environment['HF_HOME'] || join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface')
}

/** The access token: HF_TOKEN, or what `hf auth login` saved; undefined if there is none. */
export async function hubToken(environment: Environment = process.env): Promise<string | undefined> {
  const named = environment['HF_TOKEN'] || environment['HUGGING_FACE_HUB_TOKEN']
  if (named) return named.trim()
  const file = environment['HF_TOKEN_PATH'] || join(hubHome(environment), 'token')
  return (await readFile(file, 'utf8').catch(() => '')).trim() || undefined
}

/** True if the environment forbids the network. */
export function hubOffline(environment: Environment = process.env): boolean {
  return [environment['HF_HUB_OFFLINE'], environment['TRANSFORMERS_OFFLINE']].some((value) =>
    /^(1|on|yes|true)$/i.test(value ?? ''),
  )
}

/** One model's part of the cache. */
export class ModelCache {
  readonly folder: string

  constructor(cacheFolder: string, name: string) {
    this.folder = join(cacheFolder, `models--${name.replaceAll('/', '--')}`)
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  blob(etag: string): string {
    return join(this.folder, 'blobs', etag)
  }

  /** The snapshot folder that a revision last meant, or undefined if it was never downloaded. */
  async find(revision: string): Promise<string | undefined> {
    const commit = /^[0-9a-f]{40}$/.test(revision)
      ? revision
      : (await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '')).trim()
    if (!/^[0-9a-f]{40}$/.test(commit)) return undefined
    const names = await readdir(this.snapshot(commit)).catch(() => [])
    return names.length > 0 ? this.snapshot(commit) : undefined
  }

  /** Remembers which commit a branch or tag meant. */
  async remember(revision: string, commit: string): Promise<void> {
    if (revision === commit) return
    const file = join(this.folder, 'refs', revision)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, commit)
  }

  /** Puts a blob into a snapshot under a file name; true if it was there already or the blob was at hand with `size` bytes. */
  async linkIfPresent(commit: string, name: string, etag: string, size: number): Promise<boolean> {
    const pointer = join(this.snapshot(commit), name)
    if ((await stat(pointer).catch(() => undefined))?.size === size) return true
    const blob = this.blob(etag)
    if ((await stat(blob).catch(() => undefined))?.size !== size) return false
    await mkdir(dirname(pointer), { recursive: true })
    if (await lstat(pointer).catch(() => undefined)) await rm(pointer)
    try {
      await symlink(relative(dirname(pointer), blob), pointer)
    } catch {
      await link(blob, pointer) // some platforms give links of names only to administrators
    }
    return true
  }
}

/** True if a file's content has this etag: the SHA-256 of large files, the SHA-1 that git gives to others. Other etags say nothing. */
export async function matchesEtag(file: string, etag: string): Promise<boolean> {
  const hash = /^[0-9a-f]{64}$/.test(etag)
    ? createHash('sha256')
    : /^[0-9a-f]{40}$/.test(etag)
      ? createHash('sha1')
      : undefined
  if (!hash) return true
  try {
    if (etag.length === 40) hash.update(`blob ${(await stat(file)).size}\0`)
    for await (const part of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(part)
  } catch (error) {
    throw systemError(error) ?? error
  }
  return hash.digest('hex') === etag
}
