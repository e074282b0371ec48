/** The runs below a folder, found by what lies in it. A page never names a path: it names a run that was found here. */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { formatOfPath } from '../../data/formats.ts'
import { InputError } from '../../util/errors.ts'
import type { RunSummary } from './api.ts'
import { readRunFile, readRunFolder } from './read-run.ts'

/** Where the studio keeps the evaluations that it computed, inside of the folder that it shows. */
export const keepFolder = '.espalier-studio'

const mostLevels = 5
const mostFolders = 2_000
const mostDataFiles = 200
const mostReportBytes = 64 * 2 ** 20
const passedOver = new Set(['node_modules', '__pycache__', 'venv'])

export interface Found {
  runs: Map<string, RunSummary>
  /** Data files, relative to the folder. */
  data: string[]
  skipped: number
}

/** Reports as they were read, by path: they are large, and a folder is looked through again and again. */
export type ReportMemory = Map<string, { stamp: string; run: RunSummary | undefined }>

/** Looks through a folder. Links lead on from the top folder only, so that a run cannot point elsewhere; hidden folders are not looked into. */
export async function scanRuns(root: string, memory: ReportMemory = new Map()): Promise<Found> {
  const found: Found = { runs: new Map(), data: [], skipped: 0 }
  let folders = 0
  const visit = async (folder: string, level: number): Promise<void> => {
    if (++folders > mostFolders || level > mostLevels) {
      found.skipped++
      return
    }
    const id = relative(root, folder).split(sep).join('/') || '.'
    const run = await readRunFolder(folder, id).catch(() => undefined)
    if (run) found.runs.set(id, run)
    const closed = run !== undefined && level > 0
    for (const entry of await sorted(folder)) {
      const path = join(folder, entry.name)
      const kind = await kindOf(entry, path, level)
      const hidden = entry.name.startsWith('.') || passedOver.has(entry.name)
      if (kind === 'folder' && !closed && !hidden) await visit(path, level + 1)
      if (kind === 'file' && (!closed || /report|eval/i.test(entry.name)))
        await note(path, id === '.' ? entry.name : `${id}/${entry.name}`)
    }
  }
  const note = async (path: string, id: string): Promise<void> => {
    const format = formatOfPath(path)
    if (format?.format === 'json') {
      const run = await reportAt(path, id, memory).catch(() => undefined)
      if (run) found.runs.set(id, run)
      return
    }
    if (format !== undefined && !/(^|\/)train-log\.jsonl$/.test(id) && found.data.length < mostDataFiles)
      found.data.push(id)
  }
  await stat(root).then(
    (entry) => {
      if (entry.isDirectory()) return
      throw new InputError('ENOTDIR', 'Expected a folder of runs, received a file', {
        where: { file: root },
        help: 'give the folder above it',
      })
    },
    () => {
      throw new InputError('ENOENT', 'The folder of runs was not found', {
        where: { file: root },
        help: 'check the path',
      })
    },
  )
  await visit(root, 0)
  return found
}

async function sorted(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function kindOf(entry: Dirent, path: string, level: number): Promise<'folder' | 'file' | undefined> {
  const follow = entry.isSymbolicLink() && level === 0
  const target = follow ? await stat(path).catch(() => undefined) : entry
  return target?.isDirectory() ? 'folder' : target?.isFile() ? 'file' : undefined
}

async function reportAt(path: string, id: string, memory: ReportMemory): Promise<RunSummary | undefined> {
  const { size, mtimeMs } = await stat(path)
  if (size > mostReportBytes) return undefined
  const stamp = `${size} ${mtimeMs}`
  const known = memory.get(path)
  if (known?.stamp === stamp) return known.run
  const run = await readRunFile(path, id)
  memory.set(path, { stamp, run })
  return run
}
