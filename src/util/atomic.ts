/** Atomic output: written to a temporary neighbour, flushed, then renamed. Nothing half-written stands under its final name. */
import { createHash, randomBytes } from 'node:crypto'
import { open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fromErrorRecord, InputError, systemError, toErrorRecord } from './errors.ts'
import { makeFolder } from './make-folder.ts'

/** Tells the machines apart that may write into one folder. */
const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8)

function neighbour(path: string): string {
  return join(dirname(path), `.${basename(path)}.tmp-${machine}-${process.pid}-${randomBytes(4).toString('hex')}`)
}

/** Removes what killed processes of this machine left of `path`; those of running ones and of other machines stay. */
async function removeLeftovers(path: string): Promise<void> {
  const start = `.${basename(path)}.tmp-${machine}-`
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    const [, process] = /^(\d+)-[0-9a-f]{8}$/.exec(name.startsWith(start) ? name.slice(start.length) : '') ?? []
    if (process === undefined || isRunning(Number(process))) continue
    await rm(join(dirname(path), name), { recursive: true, force: true }).catch(() => undefined)
  }
}

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // it runs, but belongs to somebody else
  }
}

/** A system error under the name that the caller knows: never that of the temporary. A full disk does not name its file at all. */
function namedError(error: unknown, temporary: string, path: string): unknown {
  const found = systemError(error)
  if (!found || found === error) return error
  const { file } = found.where
  const known = file === undefined ? path : file.replace(temporary, path)
  return fromErrorRecord({ ...toErrorRecord(found), where: { ...found.where, file: known } })
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    else if (entry.isFile()) await syncFile(path)
  }
  await syncFile(folder).catch(() => undefined) // some platforms cannot open folders
}

/** Writes one file atomically, from a value or as a stream; parent folders are made. Throws a typed error (`ENOSPC`, `EACCES`, ...) and leaves nothing behind on failure. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | AsyncIterable<string | Uint8Array>,
): Promise<void> {
  const temporary = neighbour(resolve(path))
  try {
    await makeFolder(dirname(temporary))
    const handle = await open(temporary, 'wx')
    try {
      await writeFile(handle, content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw namedError(error, temporary, path)
  }
}

/** The file by which a folder is known to be an output of this package. */
export const recordFile = 'espalier.json'

/**
 * Throws InputError `OUT_EXISTS` if `folder` exists and may not be replaced: only with `force`, and only a folder that this package
 * wrote and nobody has put anything into since (or an empty one).
 */
export async function checkOutputFolder(folder: string, force = false): Promise<void> {
  if (folder === '') throw new InputError('USAGE', 'The output folder has an empty name', { help: 'name a folder' })
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw systemError(error) ?? error
  })
  if (!found) return
  if (!found.isDirectory())
    throw new InputError('OUT_EXISTS', 'The output path is a file, expected a folder', {
      where: { file: folder },
      help: 'choose another --out',
    })
  const names = await readdir(folder).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  if (names.length === 0) return
  const ours = names.includes(recordFile)
  if (!ours)
    throw new InputError('OUT_EXISTS', 'The output folder exists and was not written by espalier', {
      where: { file: folder },
      help: 'choose another --out; it is never overwritten',
    })
  if (!force)
    throw new InputError('OUT_EXISTS', 'The output folder exists', {
      where: { file: folder },
      help: 'choose another --out, or pass --force to replace it',
    })
  const foreign = await foreignFile(folder)
  if (foreign !== undefined)
    throw new InputError('OUT_EXISTS', 'The output folder holds a file that espalier did not write', {
      where: { file: join(folder, foreign) },
      help: 'move it away, or choose another --out; it is never deleted',
    })
}

/** Every file below `folder`, relative to it, in order; links are files. */
async function filesBelow(folder: string, prefix = ''): Promise<string[]> {
  const files: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const name = `${prefix}${entry.name}`
    if (entry.isDirectory()) files.push(...(await filesBelow(join(folder, entry.name), `${name}/`)))
    else files.push(name)
  }
  return files.sort()
}

async function readRecord(folder: string): Promise<{ files?: unknown } | undefined> {
  const text = await readFile(join(folder, recordFile), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as { files?: unknown }
  } catch {
    return {}
  }
}

/** The first file that the folder's record does not list; a record without a list vouches for all. */
async function foreignFile(folder: string): Promise<string | undefined> {
  const files = (await readRecord(folder))?.files
  return Array.isArray(files) ? (await filesBelow(folder)).find((name) => !files.includes(name)) : undefined
}

/** Lists the folder's files in its record, so that later ones are known to be foreign. */
async function recordFiles(folder: string): Promise<void> {
  const record = await readRecord(folder)
  if (record === undefined) return
  const files = await filesBelow(folder)
  await writeFile(join(folder, recordFile), `${JSON.stringify({ ...record, files }, null, 2)}\n`)
}

/**
 * Gives a finished folder its final name, in place of what stood there: its files are listed in its record and flushed first. Both lie in
 * one parent folder. Throws as `checkOutputFolder` does.
 */
export async function publishFolder(finished: string, folder: string, options: { force?: boolean }): Promise<void> {
  const target = resolve(folder)
  await recordFiles(finished)
  await syncTree(finished)
  await checkOutputFolder(target, options.force) // somebody may have come while it was written
  const old = (await stat(target).catch(() => undefined)) ? neighbour(target) : undefined
  if (old) await rename(target, old)
  try {
    await rename(finished, target)
  } catch (error) {
    if (old) await rename(old, target)
    throw error
  }
  await syncFile(dirname(target)).catch(() => undefined)
  if (old) await rm(old, { recursive: true, force: true })
  await removeLeftovers(target)
}

/**
 * Writes a folder atomically: `write` fills a temporary neighbour, which is flushed and renamed to `folder`. With `force`, a folder
 * that this package wrote before is replaced. On any failure the temporary is removed and the old folder stands untouched; what a killed process
 * left beside it is removed by the next one that succeeds.
 */
export async function writeFolderAtomic<T>(
  folder: string,
  options: { force?: boolean },
  write: (temporary: string) => Promise<T>,
): Promise<T> {
  await checkOutputFolder(folder, options.force)
  const target = resolve(folder)
  const temporary = neighbour(target)
  try {
    await makeFolder(temporary)
    const result = await write(temporary)
    await publishFolder(temporary, target, options)
    return result
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
    throw namedError(error, temporary, folder)
  }
}
