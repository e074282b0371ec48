/** Errors as people and programs read them: what, where, what to do; at most five lines, never a stack trace unless asked for. */
import { type ErrorRecord, formatPlace } from '../util/errors.ts'
import type { Terminal } from './terminal.ts'
import { printable, truncate, wrap } from './text-width.ts'

const maxLines = 5

/** The lines for a terminal or a log. */
export function formatError(record: ErrorRecord, { columns, paint }: Pick<Terminal, 'columns' | 'paint'>): string[] {
  const interrupted = record.code === 'INTERRUPTED'
  const internal = record.code === 'INTERNAL'
  const message = internal ? `Something went wrong inside espalier: ${record.message}` : record.message
  const help = internal
    ? 'this is a fault of the program: please report it, with what --debug prints'
    : (record.help ?? '')
  const place = formatPlace(record.where)
  const block = (text: string, most: number): string[] => {
    if (text === '') return []
    const lines = wrap(printable(text), columns - 2)
    const kept = lines.slice(0, most)
    if (kept.length < lines.length) kept.push(`${kept.pop()} ${lines[most]}`)
    return kept.map((line) => truncate(line, columns - 2))
  }
  const placeLines = block(place, 1)
  // A command to copy needs its lines more than a long message does, but the message keeps two.
  const messageNeeds = Math.min(2, wrap(printable(message), columns - 2).length)
  const helpLines = block(help, maxLines - placeLines.length - messageNeeds)
  const messageLines = block(message, maxLines - helpLines.length - placeLines.length)
  return [
    ...messageLines.map((line, index) => {
      const mark = interrupted ? paint('yellow', '■') : paint('red', '✖')
      return index === 0 ? `${mark} ${paint('bold', line)}` : `  ${paint('bold', line)}`
    }),
    ...placeLines.map((line) => `  ${line}`),
    ...helpLines.map((line) => `  ${paint('cyan', line)}`),
  ]
}

/** The document that `--json` prints on stdout when a command fails. */
export function errorDocument(record: ErrorRecord, debug: boolean): { error: Record<string, unknown> } {
  const { code, message, exitCode, where, help, data, stack } = record
  return {
    error: {
      code,
      message,
      exitCode,
      where,
      ...(help === undefined ? {} : { help }),
      data,
      ...(debug ? { stack } : {}),
    },
  }
}
