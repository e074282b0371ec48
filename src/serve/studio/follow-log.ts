/** A training log as it grows: what stands in it, then every line that is added, until the run is finished. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { trainLogFile } from '../../classify/work-folder.ts'
import { readTrainLog, type TrainLogEntry } from '../../train/train-log.ts'

export type LogEvent =
  | { type: 'entries'; entries: TrainLogEntry[] }
  /** The log was cut back: a run goes on from an earlier step. */
  | { type: 'rewound' }
  /** The work folder is gone; the model stands at its own name if training ended well. */
  | { type: 'ended'; finished: boolean }

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end)
  })

/** Follows the log of a run's folder until the signal fires, or, for a work folder, until it is gone. */
export async function* followLog(folder: string, signal: AbortSignal, milliseconds = 400): AsyncGenerator<LogEvent> {
  const isWork = folder.endsWith('.training')
  let sent = 0
  let size = -1
  while (!signal.aborted) {
    const found = await stat(join(folder, trainLogFile)).catch(() => undefined)
    if (found && found.size !== size) {
      const entries = await readTrainLog(join(folder, trainLogFile))
      if (found.size < size) {
        sent = 0
        yield { type: 'rewound' }
      }
      size = found.size
      if (entries.length > sent || sent === 0) yield { type: 'entries', entries: entries.slice(sent) }
      sent = entries.length
    } else if (!found && isWork && !(await stat(folder).catch(() => undefined))) {
      const finished = await stat(folder.replace(/\.training$/, '')).catch(() => undefined)
      yield { type: 'ended', finished: finished !== undefined }
      return
    }
    await pause(milliseconds, signal)
  }
}
