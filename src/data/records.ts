/** What the readers of all formats yield: records of named values, each with its line, or with the fault that keeps it from being one. */
import { InputError, type Place } from '../util/errors.ts'
import { parseJson } from '../util/json.ts'
import type { ByteLine } from './lines.ts'
import { decodeLine } from './utf8.ts'

export type Values = Record<string, unknown>

export type DataRecord = { line: number; values: Values; fault?: undefined } | { line: number; fault: InputError }

/** A file opened for reading: its column names where the format tells them, and its records in batches. */
export interface RecordSource {
  /** Undefined where each record has its own names (JSON). */
  columns: string[] | undefined
  /** Reads once, from the start. Tables give only the named columns, all if none are named. */
  records(wanted?: readonly string[]): AsyncGenerator<DataRecord[]>
}

/** What a line's length is limited to, in bytes, so that a text at the limit fits in whatever way it is escaped. */
export const lineLimit = (maxTextLength: number): number => 6 * maxTextLength + (1 << 20)

/** The fault of a line beyond the limit. */
export function lineTooLong(where: Place, maxBytes: number): InputError {
  return new InputError('LINE_TOO_LONG', `The row is longer than ${maxBytes.toLocaleString('en-US')} bytes`, {
    where,
    help: 'check that rows are separated by newlines, or raise maxTextLength (in code)',
    data: { maxBytes },
  })
}

function describe(value: unknown): string {
  return Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`
}

/** Parses the bytes of one JSON record; undefined for a blank one. */
export function jsonRecord({ line, bytes }: ByteLine, file: string, maxBytes: number): DataRecord | undefined {
  const where = { file, line }
  if (bytes === undefined) return { line, fault: lineTooLong(where, maxBytes) }
  try {
    const text = decodeLine(bytes, where)
    if (text.trim() === '') return undefined
    const values = parseLine(text, where)
    if (typeof values === 'object' && values !== null && !Array.isArray(values))
      return { line, values: values as Values }
    throw new InputError('ROW_TYPE', `Expected a row {"text": ..., "labels": ...}, received ${describe(values)}`, {
      where,
      help: 'each row is one JSON object; if the file is one list of rows, name it .json or pass --format json',
    })
  } catch (error) {
    if (error instanceof InputError) return { line, fault: error }
    throw error
  }
}

function parseLine(text: string, where: { file: string; line: number }): unknown {
  try {
    return JSON.parse(text)
  } catch {
    try {
      return parseJson(text, where.file)
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      const line = where.line + (error.where.line ?? 1) - 1
      throw new InputError('JSON_MALFORMED', 'The row is not valid JSON', {
        where: { ...where, line, column: error.where.column ?? 1 },
        help: error.help === undefined || error.help === '' ? 'each row is one JSON object' : error.help,
        cause: error,
      })
    }
  }
}
