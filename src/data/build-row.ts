/** From a record of named values to a row: checks the text, reads the labels, and places every fault. */
import { InputError } from '../util/errors.ts'
import { type Columns, columnMissing } from './columns.ts'
import { pathOfColumns, pathsOfValue } from './label-values.ts'
import type { Values } from './records.ts'
import { defaultMaxTextLength, type Row, type RowOptions } from './row.ts'

export interface BuildContext {
  columns: Columns
  options: RowOptions
  file: string
  /** Cells are text and absent cells are empty (tables), as opposed to typed values (JSON, Parquet, memory). */
  isTable: boolean
}

const nameOfType = (value: unknown) =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'a list'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`

/** Throws InputError `TEXT_MISSING`, `TEXT_TYPE`, `TEXT_EMPTY`, `TEXT_TOO_LONG`, `LABEL_TYPE`, `LABEL_NAME` or `ID_TYPE`. */
export function buildRow(values: Values, line: number, context: BuildContext): Row {
  const { columns, file } = context
  const row: Row = { text: textOf(values, line, context), labels: labelsOf(values, line, context), file, line }
  const id = columns.id === undefined ? undefined : values[columns.id]
  if (id === undefined || id === null || id === '') return row
  if (typeof id === 'object')
    throw new InputError('ID_TYPE', `Expected the id to be text or a number, received ${nameOfType(id)}`, {
      where: { file, line, key: columns.id! },
      help: 'name another column with the option id',
    })
  row.id = String(id)
  return row
}

function textOf(values: Values, line: number, { columns, options, file, isTable }: BuildContext): string {
  const parts: string[] = []
  let missing: string | undefined
  for (const column of columns.text) {
    const value = values[column]
    if (value === undefined || value === null) {
      if (!isTable) missing ??= column
    } else if (typeof value !== 'string') {
      throw new InputError('TEXT_TYPE', `Expected text, received ${nameOfType(value)}`, {
        where: { file, line, key: column },
        help: 'put it in quotes, or name another column with --text (in code: text)',
      })
    } else if (value.trim() !== '') parts.push(value)
  }
  const where = { file, line, ...(columns.text.length === 1 ? { key: columns.text[0]! } : {}) }
  if (parts.length === 0 && missing !== undefined) {
    if (missing in values)
      throw new InputError('TEXT_MISSING', 'Expected text, received null', {
        where,
        help: 'fill it in, or remove the row',
      })
    const { message, help, data } = columnMissing(missing, Object.keys(values), { file, line })
    throw new InputError('TEXT_MISSING', message, { where: { file, line }, help: help!, data })
  }
  if (parts.length === 0)
    throw new InputError('TEXT_EMPTY', 'The text is empty', {
      where,
      help: 'remove the row, or pass --empty-text skip (in code: onEmptyText)',
    })
  const text = parts.length === 1 ? parts[0]! : parts.join('\n')
  const limit = options.maxTextLength ?? defaultMaxTextLength
  if (text.length > limit)
    throw new InputError(
      'TEXT_TOO_LONG',
      `The text has ${text.length.toLocaleString('en-US')} characters, more than ${limit.toLocaleString('en-US')}`,
      {
        where,
        help: 'split or cut it, or pass --bad-rows skip (in code: maxTextLength, onBadRow)',
        data: { length: text.length, limit },
      },
    )
  return text
}

function labelsOf(values: Values, line: number, { columns, options, file, isTable }: BuildContext): string[][] {
  if (columns.labels === undefined) return []
  const [first, ...more] = columns.labels
  const where = { file, line, key: columns.labels.join(' › ') }
  return more.length === 0
    ? pathsOfValue(values[first!], first!, isTable, options, where)
    : pathOfColumns(
        columns.labels.map((column) => values[column]),
        where,
      )
}
