/** What a command gets from the process around it: where to print, how to report progress, when to stop. */
import { type ErrorRecord, InterruptedError, toErrorRecord } from '../util/errors.ts'
import type { Progress, RunOptions } from '../util/progress.ts'
import { errorDocument, formatError } from './format-error.ts'
import { abortOnSignals } from './interrupt.ts'
import { type ProgressView, placeOf, progressView } from './progress-line.ts'
import { type Terminal, terminalOf } from './terminal.ts'

export interface Session {
  /** Results are one JSON document on stdout; progress is JSON lines on stderr. */
  readonly json: boolean
  readonly stdout: Terminal
  /** Hand these to every long call. */
  readonly run: Required<RunOptions>
  /** Lines of a result, on stdout. Waits while the reader is slow. */
  print(...lines: string[]): Promise<void>
  /** The result as the one JSON document on stdout. */
  printJson(document: unknown): Promise<void>
  /** A remark on stderr, above the moving line; a JSON line with `--json`. */
  remark(text: string): void
  /** Ends progress output. Call before results are printed. */
  settle(): void
  /** Prints an error and returns the exit status. */
  fail(error: unknown): number
}

export function openSession({ json, debug }: { json: boolean; debug: boolean }): Session {
  const stdout = terminalOf(process.stdout)
  const stderr = terminalOf(process.stderr)
  const toStderr = (text: string) => void process.stderr.write(text)
  const view: ProgressView = progressView({
    mode: json ? 'json' : stderr.interactive ? 'line' : 'log',
    terminal: stderr,
    write: toStderr,
  })
  setInterval(() => view.tick(), 500).unref()
  const remark = (text: string) => {
    view.clear()
    toStderr(json ? `${JSON.stringify({ note: text })}\n` : `${text}\n`)
  }
  const signal = abortOnSignals(() => remark('stopping; press Ctrl-C again to end at once'))
  const print = (...lines: string[]) => {
    view.clear()
    return writeOut(`${lines.join('\n')}\n`)
  }
  return {
    json,
    stdout,
    run: { signal, onProgress: (progress: Progress) => view.report(progress) },
    print,
    printJson: (document) => print(JSON.stringify(document, null, 2)),
    remark,
    settle: () => view.finish(),
    fail(error) {
      const record = stoppedAt(toErrorRecord(error), view.last())
      view.finish()
      if (json) process.stdout.write(`${JSON.stringify(errorDocument(record, debug), null, 2)}\n`)
      else toStderr(`${formatError(record, stderr).join('\n')}\n`)
      if (debug && !json) toStderr(`\n${stackOf(error)}\n`)
      return record.exitCode
    },
  }
}

/** An interruption that does not say where it struck is told by the last progress: "stopped at train 1,200/15,000 rows; continue with --resume". */
function stoppedAt(record: ErrorRecord, last: Progress | undefined): ErrorRecord {
  if (record.code !== 'INTERRUPTED' || record.message !== new InterruptedError().message) return record
  const { help, ...rest } = record
  const place = last === undefined ? 'stopped' : `stopped at ${placeOf(last)}`
  return { ...rest, message: help === undefined ? place : `${place}; ${help}` }
}

function writeOut(text: string): Promise<void> {
  return new Promise((resolve) => {
    if (process.stdout.write(text)) resolve()
    else process.stdout.once('drain', resolve)
  })
}

/** The stack of an error and of its causes. */
function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.stack ?? String(error)
  return error.cause === undefined ? own : `${own}\ncaused by ${stackOf(error.cause)}`
}
