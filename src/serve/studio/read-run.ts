/** One folder or report file as a run of the studio: what it is, from its small files alone. What cannot be read is a run too, with the reason. */
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readClassifierFiles, settingsFile } from '../../classify/classifier.ts'
import { trainLogFile } from '../../classify/work-folder.ts'
import { readTrainLog } from '../../train/train-log.ts'
import { recordFile } from '../../util/atomic.ts'
import { InputError, toErrorRecord } from '../../util/errors.ts'
import { readJson } from '../../util/json.ts'
import type { Fault, RunSummary } from './api.ts'
import { readReport, scoreOf } from './read-report.ts'

/** A training log that was written to this lately belongs to a run that is alive. */
const liveMilliseconds = 120_000
/** JSON files beyond this are none of ours. */
const mostJsonBytes = 256 * 2 ** 20

/** What a studio answers for an error: no stack, no cause. */
export function faultOf(error: unknown): Fault {
  const { code, message, where, help } = toErrorRecord(error)
  return { code, message, ...(Object.keys(where).length > 0 ? { where } : {}), ...(help === undefined ? {} : { help }) }
}

/** An object in a JSON file; anything else is refused. */
export async function readObject(file: string): Promise<Record<string, unknown>> {
  const { size } = await stat(file)
  if (size > mostJsonBytes)
    throw new InputError('STUDIO_FILE', `Expected a JSON file of at most ${mostJsonBytes} bytes, received ${size}`, {
      where: { file },
    })
  const value = await readJson(file)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new InputError('STUDIO_FILE', 'Expected a JSON object', { where: { file }, help: 'restore the file' })
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined

/** Drops what is undefined. */
function given<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never
}

/** The run that a folder holds, or undefined if it holds none. `id` is its path below the studio's folder. */
export async function readRunFolder(folder: string, id: string): Promise<RunSummary | undefined> {
  const names = new Set(await readdir(folder))
  const isTraining = folder.endsWith('.training') && names.has(recordFile)
  if (!names.has(recordFile) && !names.has(settingsFile) && !names.has('config.json')) return undefined
  const mark = [recordFile, settingsFile, 'config.json'].find((name) => names.has(name))!
  const facts = {
    id,
    modified: (await stat(join(folder, mark))).mtime.toISOString(),
    bytes: await sizeOf(folder, names),
  }
  try {
    const record = names.has(recordFile) ? await readObject(join(folder, recordFile)) : undefined
    if (isTraining) return { ...facts, ...(await trainingOf(folder)), kind: 'training' }
    if (record?.['verb'] === 'merge') return { ...facts, kind: 'merge', ...(await mergeFacts(folder, record)) }
    if (names.has(settingsFile)) return { ...facts, kind: 'model', ...(await modelFacts(folder, record)) }
    if (record !== undefined && !names.has('config.json')) {
      if (record['verb'] === 'train')
        throw new InputError(
          'CLASSIFIER_FORMAT',
          `The folder says that it is a trained model, but ${settingsFile} is missing`,
          {
            where: { file: folder },
            help: 'restore the file, or train the model again',
          },
        )
      return undefined // the output of a verb that the studio does not show
    }
    const config = await readObject(join(folder, 'config.json'))
    if (text(config['model_type']) === undefined) return undefined
    return { ...facts, kind: 'checkpoint', ...given({ encoder: text(config['model_type']) }) }
  } catch (error) {
    return { ...facts, kind: 'broken', fault: faultOf(error) }
  }
}

/** The report in a JSON file, or undefined if it is another kind of JSON. */
export async function readRunFile(file: string, id: string): Promise<RunSummary | undefined> {
  const { mtime, size } = await stat(file)
  const facts = { id, modified: mtime.toISOString(), bytes: size }
  let claimed = false
  try {
    const value = await readObject(file)
    claimed = String(value['format']).startsWith('espalier-report/')
    if (!claimed) return undefined
    const report = readReport(value, file)
    return {
      ...facts,
      kind: 'evaluation',
      score: scoreOf(report),
      ...given({ encoder: text(report.model['encoder']), method: text(report.model['method']) }),
    }
  } catch (error) {
    // Only a file that says or seems to be a report is worth a line.
    if (!claimed && !/report|eval/i.test(basename(file))) return undefined
    return { ...facts, kind: 'broken', fault: faultOf(error) }
  }
}

async function modelFacts(folder: string, record: Record<string, unknown> | undefined): Promise<Partial<RunSummary>> {
  const { tree, settings } = await readClassifierFiles(folder)
  const config = await readObject(join(folder, 'config.json'))
  const type = text(config['model_type'])
  return given({
    encoder: type === 'espalier-ngram' ? 'ngram' : (type ?? text(record?.['encoder'])),
    method: settings.method.name,
    parameters: count(record?.['parameters']),
    trainRows: count(field(record?.['rows'], 'train')),
    labels: { count: tree.size, levels: tree.depth },
    seed: count(record?.['seed']),
  })
}

async function mergeFacts(folder: string, record: Record<string, unknown>): Promise<Partial<RunSummary>> {
  const config = await readObject(join(folder, 'config.json'))
  return given({ encoder: text(config['model_type']), method: text(record['method']), seed: count(record['seed']) })
}

async function trainingOf(folder: string): Promise<Partial<RunSummary>> {
  const file = join(folder, trainLogFile)
  const written = await stat(file).catch(() => stat(folder))
  const last = (await readTrainLog(file)).at(-1)
  return given({
    modified: written.mtime.toISOString(),
    live: Date.now() - written.mtimeMs < liveMilliseconds,
    last,
  })
}

async function sizeOf(folder: string, names: ReadonlySet<string>): Promise<number> {
  const sizes = [...names].map((name) =>
    stat(join(folder, name)).then(
      (found) => (found.isFile() ? found.size : 0),
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
