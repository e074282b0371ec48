/** Atomic output: written to a temporary neighbour, flushed, then renamed. Nothing half-written stands under its final name. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError, systemError } from './errors.ts'

function neighbour(path: string): string {
  return join(dirname(path), `.${basename(path)}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`)
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
    await mkdir(dirname(temporary), { recursive: true })
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
    throw systemError(error) ?? error
  }
}

/** The file by which a folder is known to be an output of this package. */
export const recordFile = 'espalier.json'

/** Throws InputError `OUT_EXISTS` if `folder` exists and may not be replaced: only with `force`, and only a folder that this package wrote (or an empty one). */
export async function checkOutputFolder(folder: string, force = false): Promise<void> {
  const found = await stat(folder).catch(() => undefined)
  if (!found) return
  if (!found.isDirectory())
    throw new InputError('OUT_EXISTS', 'The output path is a file, expected a folder', {
      where: { file: folder },
      help: 'choose another --out',
    })
  const names = await readdir(folder)
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
}

/**
 * Writes a folder atomically: `write` fills a temporary neighbour, which is flushed and renamed to `folder`. With `force`, a folder
 * that this package wrote before is replaced. On any failure the temporary is removed and the old folder stands untouched.
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
    await mkdir(temporary, { recursive: true })
    const result = await write(temporary)
    await syncTree(temporary)
    const old = (await stat(target).catch(() => undefined)) ? neighbour(target) : undefined
    if (old) await rename(target, old)
    try {
      await rename(temporary, target)
    } catch (error) {
      if (old) await rename(old, target)
      throw error
    }
    await syncFile(dirname(target)).catch(() => undefined)
    if (old) await rm(old, { recursive: true, force: true })
    return result
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
    throw systemError(error) ?? error
  }
}
