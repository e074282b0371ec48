/**
 * Which data files the studio reads: those below its folder or the folder where it was started, and those that a run recorded, if their bytes are still
 * the recorded ones. A run folder from elsewhere can therefore not make the studio show a file of this machine.
 */
import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, relative, resolve } from 'node:path'
import { hashFile } from '../../data/bytes.ts'
import type { ReadOptions } from '../../data/row.ts'
import { InputError } from '../../util/errors.ts'
import type { DataFile } from './api.ts'

export interface RecordedFile extends DataFile {
  /** Where it lies now. */
  path?: string
}

const hashes = new Map<string, Promise<string>>()

/** SHA-256 of a file, computed once for a size and time of change. */
function hashOf(path: string, size: number, mtimeMs: number): Promise<string> {
  const key = JSON.stringify([path, size, mtimeMs])
  const known = hashes.get(key) ?? hashFile(path)
  hashes.set(key, known)
  known.catch(() => hashes.delete(key))
  return known
}

/** The files that a run was trained on, looked for from each of `places`. */
export async function recordedFiles(
  record: Record<string, unknown>,
  places: readonly string[],
): Promise<RecordedFile[]> {
  if (record['verb'] !== 'train' || !Array.isArray(record['inputs'])) return []
  const inputs = record['inputs'].slice(0, 16) as { file?: unknown; bytes?: unknown; sha256?: unknown }[]
  return Promise.all(
    inputs.map(async (input): Promise<RecordedFile> => {
      const { file, bytes, sha256 } = input ?? {}
      if (typeof file !== 'string' || file === '-' || file === 'memory')
        return { file: String(file), found: false, why: 'it was not read from a file' }
      let why = 'it does not lie where it did'
      for (const path of isAbsolute(file) ? [file] : places.map((place) => resolve(place, file))) {
        const found = await stat(path).catch(() => undefined)
        if (!found?.isFile()) continue
        why = 'the file has changed since'
        if (found.size !== bytes) continue
        if ((await hashOf(path, found.size, found.mtimeMs)) === sha256) return { file, found: true, path }
      }
      return { file, found: false, why }
    }),
  )
}

/**
 * A data file that a page asks for by its path.
 * @throws InputError `STUDIO_PATH` if it lies outside of `places`, `ENOENT`.
 */
export async function allowedFile(file: string, places: readonly string[]): Promise<string> {
  const inside = (path: string, place: string) => {
    const way = relative(place, path)
    return way !== '' && !way.startsWith('..') && !isAbsolute(way)
  }
  const refuse = () =>
    new InputError('STUDIO_PATH', 'The file lies outside of the folders that the studio reads', {
      where: { file },
      help: `give a file below ${places.join(' or ')}, or start the studio above it`,
    })
  let outside = false
  for (const place of places) {
    const path = resolve(place, file)
    if (!places.some((other) => inside(path, other))) {
      outside = true
      continue
    }
    const real = await realpath(path).catch(() => undefined)
    if (real === undefined) continue
    const found = await stat(real)
    if (!found.isFile()) throw new InputError('EISDIR', 'Expected a data file, received a folder', { where: { file } })
    return path
  }
  throw outside ? refuse() : new InputError('ENOENT', 'File not found', { where: { file }, help: 'check the path' })
}

/** How the command that made a run read its data: its options for columns, as far as they can be told from the recorded line. */
export function readOptionsOf(command: unknown): ReadOptions {
  if (typeof command !== 'string') return {}
  const words = [...command.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g)].map(
    ([, quoted, bare]) => quoted?.replaceAll("'\\''", "'") ?? bare!,
  )
  const optionOf = (name: string): string | undefined => {
    const at = words.findIndex((word) => word === name || word.startsWith(`${name}=`))
    return at < 0 ? undefined : words[at] === name ? words[at + 1] : words[at]!.slice(name.length + 1)
  }
  const names = (value: string | undefined): string | string[] | undefined =>
    value?.includes(',') ? value.split(',') : value
  const options = {
    text: names(optionOf('--text')),
    labels: names(optionOf('--labels-column')),
    separator: optionOf('--separator'),
    labelSeparator: optionOf('--label-separator'),
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
