/** From what a person names (files, folders, patterns such as `data/*.csv`, `-` for standard input) to the files to read. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { InputError, systemError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'
import { acceptedExtensions, formatOfPath } from './formats.ts'

/** Splits that a folder may hold, by the names that data sets commonly give them. */
const splitNames = {
  train: ['train', 'training'],
  dev: ['dev', 'valid', 'validation', 'val'],
  test: ['test', 'testing'],
} as const

/** The files of a data set's folder: `train.jsonl.gz`, `dev.csv`, `labels.json`, ... Absent ones are undefined. */
export interface FolderSplits {
  train?: string
  dev?: string
  test?: string
  /** The label tree. */
  labels?: string
}

const listing = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort()

/** Data files among names. JSON files are left out: in a folder they are as often a configuration or a label tree; name them to read them. */
const dataFiles = (names: string[]): string[] =>
  names.filter((name) => {
    const format = formatOfPath(name)?.format
    return format !== undefined && format !== 'json'
  })

/** Finds the splits and the label tree in a folder by their names. */
export async function findSplits(folder: string): Promise<FolderSplits> {
  const names = await listing(folder).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  const found: FolderSplits = {}
  for (const [split, stems] of Object.entries(splitNames)) {
    const name = dataFiles(names).find((file) => stems.some((stem) => stem === file.split('.')[0]!.toLowerCase()))
    if (name !== undefined) found[split as keyof typeof splitNames] = join(folder, name)
  }
  if (names.includes('labels.json')) found.labels = join(folder, 'labels.json')
  return found
}

async function filesOfFolder(folder: string): Promise<string[]> {
  const { labels: _, ...splits } = await findSplits(folder)
  const parts = Object.values(splits)
  if (parts.length > 1)
    throw new InputError('FOLDER_SPLITS', `The folder holds several splits (${Object.keys(splits).join(', ')})`, {
      where: { file: folder },
      help: `name one of them, for example ${parts[0]}`,
      data: splits,
    })
  const files = dataFiles(await listing(folder))
  if (files.length === 0)
    throw new InputError('NO_FILES', 'The folder holds no data files', {
      where: { file: folder },
      help: `looked for ${acceptedExtensions}, .json excepted`,
    })
  return files.map((name) => join(folder, name))
}

const isPattern = (path: string) => /[*?{]/.test(path)

/** A pattern's part between slashes as an expression: `*`, `?` and `{a,b}`. */
function partExpression(part: string): RegExp {
  const source = part.replace(/[.+^$()|[\]\\]/g, '\\$&')
  const expanded = source
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
    .replace(/\{([^{}]*)\}/g, (_, choices: string) => `(?:${choices.split(',').join('|')})`)
  return new RegExp(`^(?!\\.)${expanded}$`, 'u')
}

/** Paths that match a pattern, sorted; `**` stands for any number of folders. */
async function matching(pattern: string): Promise<string[]> {
  const walk = async (folder: string, parts: string[]): Promise<string[]> => {
    const [part, ...rest] = parts
    if (part === undefined) return []
    if (part === '**') {
      const entries = await readdir(folder || '.', { withFileTypes: true }).catch(() => [])
      const below = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      const deeper = await Promise.all(below.map((entry) => walk(join(folder, entry.name), parts)))
      return [...(await walk(folder, rest)), ...deeper.flat()]
    }
    if (!isPattern(part)) {
      const path = folder === '' ? part || '/' : join(folder, part)
      return rest.length > 0 ? walk(path, rest) : (await stat(path).catch(() => undefined))?.isFile() ? [path] : []
    }
    const expression = partExpression(part)
    const entries = await readdir(folder || '.', { withFileTypes: true }).catch(() => [])
    const found = entries.filter((entry) => expression.test(entry.name))
    if (rest.length === 0) return found.filter((entry) => !entry.isDirectory()).map((entry) => join(folder, entry.name))
    const deeper = found.filter((entry) => !entry.isFile()).map((entry) => walk(join(folder, entry.name), rest))
    return (await Promise.all(deeper)).flat()
  }
  return [...new Set(await walk('', pattern.split('/')))].sort()
}

/**
 * The files that sources name, each once, in order. Throws InputError `ENOENT` (with the nearest name), `NO_FILES`, or `FOLDER_SPLITS` for
 * a folder that holds training and test data side by side.
 */
export async function expandSources(source: string | readonly string[]): Promise<string[]> {
  const sources = typeof source === 'string' ? [source] : source
  if (sources.length === 0) throw new InputError('NO_FILES', 'No data was named', { help: 'name at least one file' })
  const files: string[] = []
  for (const path of sources) {
    const found =
      path === '-'
        ? undefined
        : await stat(path).catch((error: NodeJS.ErrnoException) => {
            if (error.code === 'ENOENT') return undefined // told below, with the nearest name
            throw systemError(error) ?? error
          })
    if (path === '-' || found?.isFile()) files.push(path)
    else if (found?.isDirectory()) files.push(...(await filesOfFolder(path)))
    else if (found)
      throw new InputError('NOT_A_FILE', 'Expected a file or a folder, received a pipe or a device', {
        where: { file: path },
        help: 'to read JSONL from a pipe, pass - and feed standard input',
      })
    else if (isPattern(path)) {
      const matches = await matching(path)
      if (matches.length === 0)
        throw new InputError('NO_FILES', 'No file matches the pattern', {
          where: { file: path },
          help: 'patterns know *, ?, {a,b} and **',
        })
      files.push(...matches)
    } else {
      const neighbours = await readdir(dirname(path)).catch(() => [])
      throw new InputError('ENOENT', 'File not found', {
        where: { file: path },
        help: didYouMean(basename(path), neighbours, 'check the path'),
      })
    }
  }
  return [...new Set(files)]
}
