/** The training log: one JSON object a line, appended as training goes, readable after a kill at any moment. */
import { appendFile, readFile, truncate } from 'node:fs/promises'
import { systemError } from '../util/errors.ts'

/** One line: a moment of training. Metrics of the dev set are there when it was evaluated. */
export interface TrainLogEntry {
  /** Updates done. */
  step: number
  /** Epochs done, with fraction. */
  epoch: number
  /** Mean over the updates since the last line. */
  loss?: number
  learningRate?: number
  /** Global gradient norm before clipping, mean over the updates since the last line. */
  gradientNorm?: number
  rowsPerSecond?: number
  /** Measured on the dev set, by name. */
  dev?: Record<string, number>
}

/** Appends one line. */
export async function appendTrainLog(file: string, entry: TrainLogEntry): Promise<void> {
  await appendFile(file, `${JSON.stringify(entry)}\n`).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
}

/** The entries of a log; a last line that a kill cut short is left out. A missing file has none. */
export async function readTrainLog(file: string): Promise<TrainLogEntry[]> {
  return (await readWhole(file)).map(({ entry }) => entry)
}

/** Cuts the log back to the entries up to `step`: training goes on from there. */
export async function rewindTrainLog(file: string, step: number): Promise<void> {
  const kept = (await readWhole(file)).filter(({ entry }) => entry.step <= step)
  await truncate(file, kept.at(-1)?.end ?? 0).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw systemError(error) ?? error
  })
}

/** Entries up to the first line that is not one, each with the byte where its line ends. */
async function readWhole(file: string): Promise<{ entry: TrainLogEntry; end: number }[]> {
  const bytes = await readFile(file).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
    throw systemError(error) ?? error
  })
  const entries: { entry: TrainLogEntry; end: number }[] = []
  for (let start = 0; ; ) {
    const newline = bytes.indexOf(10, start)
    if (newline < 0) return entries
    const entry = parseEntry(bytes.toString('utf8', start, newline))
    if (!entry) return entries
    start = newline + 1
    entries.push({ entry, end: start })
  }
}

function parseEntry(line: string): TrainLogEntry | undefined {
  try {
    const value = JSON.parse(line) as TrainLogEntry | null
    return typeof value?.step === 'number' && typeof value.epoch === 'number' ? value : undefined
  } catch {
    return undefined
  }
}
