/** Which columns hold the text, the labels and the id: as told, or by the names that data sets commonly use. */
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'
import type { RowOptions } from './row.ts'

export interface Columns {
  text: string[]
  /** Undefined: the data has no labels. Two and more columns form one path. */
  labels: string[] | undefined
  id: string | undefined
}

/** Names under which the text is looked for, in this order, whatever their case. */
export const textNames = [
  ...['text', 'sentence', 'utterance', 'body', 'query', 'question', 'content', 'message', 'document', 'review'],
  ...['description', 'comment', 'tweet', 'abstract', 'input', 'title'],
]
/** Names under which labels are looked for, in this order, whatever their case. */
export const labelNames = [
  ...['labels', 'label', 'path', 'label_path', 'category', 'categories', 'intent', 'class', 'topic', 'target', 'tags'],
]

const listed = (names: readonly string[]): string => {
  const shown = names.slice(0, 12).map((name) => `"${name}"`)
  return `${shown.join(', ')}${names.length > shown.length ? `, and ${names.length - shown.length} more` : ''}`
}

function byDefault(names: readonly string[], known: readonly string[]): string | undefined {
  for (const name of known) {
    const found = names.find((column) => column.trim().toLowerCase() === name)
    if (found !== undefined) return found
  }
  return undefined
}

/** The column under whose name labels are commonly found, if there is one. */
export function defaultLabels(names: readonly string[]): string[] | undefined {
  const found = byDefault(names, labelNames)
  return found === undefined ? undefined : [found]
}

/** The error for a column that is asked for and not there. */
export function columnMissing(
  wanted: string,
  names: readonly string[],
  where: { file: string; line?: number },
): InputError {
  return new InputError('COLUMN_MISSING', `No column "${wanted}"; the columns are ${listed(names)}`, {
    where,
    help: didYouMean(wanted, names, 'name one of these columns'),
    data: { wanted, columns: names },
  })
}

/** Chooses among the names of a table's header or of a JSON row. Throws InputError `COLUMN_MISSING` or `COLUMN_DUPLICATE`. */
export function chooseColumns(
  names: readonly string[],
  options: RowOptions,
  where: { file: string; line?: number },
): Columns {
  const asked = (wanted: string | readonly string[]): string[] =>
    (typeof wanted === 'string' ? [wanted] : [...wanted]).map((name) => {
      if (!names.includes(name)) throw columnMissing(name, names, where)
      return name
    })
  const text = options.text === undefined ? byDefault(names, textNames) : asked(options.text)
  if (text === undefined || text.length === 0)
    throw new InputError('COLUMN_MISSING', `No column holds the text; the columns are ${listed(names)}`, {
      where,
      help: 'name it with --text (in code: text)',
      data: { wanted: 'text', columns: names },
    })
  const asLabels = options.labels === undefined ? defaultLabels(names) : asked(options.labels)
  const labels = asLabels?.length === 0 ? undefined : asLabels
  if (labels === undefined && options.requireLabels)
    throw new InputError('COLUMN_MISSING', `No column holds the labels; the columns are ${listed(names)}`, {
      where,
      help: 'name it with --labels-column (in code: labels); several, outermost first, form a path',
      data: { wanted: 'labels', columns: names },
    })
  const id = options.id === undefined ? byDefault(names, ['id']) : asked(options.id)[0]
  const chosen = { text: [text].flat(), labels, id }
  const used = [...chosen.text, ...(labels ?? []), ...(id === undefined ? [] : [id])]
  const twice = used.find((name) => names.indexOf(name) !== names.lastIndexOf(name))
  if (twice !== undefined)
    throw new InputError('COLUMN_DUPLICATE', `Two columns are both named "${twice}"`, {
      where,
      help: 'rename one of them',
    })
  return chosen
}
