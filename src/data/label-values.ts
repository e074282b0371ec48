/**
 * From a label value as people write it to label paths.
 *
 * | value | in a column named `path` (or ending in it) | in any other column |
 * | --- | --- | --- |
 * | `"a"` | the path a | the path a |
 * | `"a > b"`, `"a › b"`, or `"a/b"` with `separator: "/"` | the path a › b | the path a › b |
 * | `["a", "b"]` | ONE path: a › b | TWO labels: a, and b |
 * | `[["a", "b"], ["c"]]` | two labels: a › b, and c | the same |
 * | `[]`, `""`, `null`, or nothing | no label | no label |
 *
 * Numbers and booleans count as names. In tables, where a cell is text, a JSON list is read as a list. With `labelSeparator: ";"`, `"a;b"`
 * is two labels.
 */
import { InputError, type Place } from '../util/errors.ts'
import type { RowOptions } from './row.ts'

type SeparatorOptions = Pick<RowOptions, 'separator' | 'labelSeparator'>

const usual = /\s[>›](?=\s)/

function nameOf(value: unknown, where: Place): string {
  if (typeof value === 'string') return value.trim()
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  throw new InputError('LABEL_TYPE', `Expected a label name, received ${JSON.stringify(value)?.slice(0, 60)}`, {
    where,
    help: 'labels are names, lists of names, or lists of paths such as [["area", "topic"]]',
  })
}

/** Throws InputError `LABEL_NAME` if a path has an empty name. */
function checkPath(path: string[], where: Place): string[] {
  const empty = path.indexOf('')
  if (empty !== -1)
    throw new InputError('LABEL_NAME', `Name ${empty + 1} of a label path is empty`, {
      where,
      help: 'a path may stop early, but has no gaps',
      data: { path },
    })
  return path
}

function splitPath(text: string, separator: string | undefined): string[] {
  if (separator === '') return [text]
  return text.split(separator ?? usual).map((name) => name.trim())
}

function pathsOfText(text: string, options: SeparatorOptions, where: Place): string[][] {
  const labels = options.labelSeparator ? text.split(options.labelSeparator) : [text]
  return labels
    .map((label) => label.trim())
    .filter((label) => label !== '')
    .map((label) => checkPath(splitPath(label, options.separator), where))
}

function parsedList(text: string): unknown[] | undefined {
  if (!text.startsWith('[') || !text.endsWith(']')) return undefined
  try {
    return JSON.parse(text) as unknown[]
  } catch {
    return undefined
  }
}

/** Label paths of one column's value, each once. `isTable`: cells are text. Throws InputError `LABEL_TYPE` or `LABEL_NAME`. */
export function pathsOfValue(
  value: unknown,
  column: string,
  isTable: boolean,
  options: SeparatorOptions,
  where: Place,
): string[][] {
  if (value === null || value === undefined) return []
  const given = isTable && typeof value === 'string' ? (parsedList(value.trim()) ?? value) : value
  if (!Array.isArray(given)) return pathsOfText(nameOf(given, where), options, where)
  const isOnePath = /path$/i.test(column) && given.length > 0 && !given.some(Array.isArray)
  if (isOnePath)
    return [
      checkPath(
        given.map((name) => nameOf(name, where)),
        where,
      ),
    ]
  const paths = given.flatMap((item) => {
    if (!Array.isArray(item)) return pathsOfText(nameOf(item, where), options, where)
    return item.length === 0
      ? []
      : [
          checkPath(
            item.map((name) => nameOf(name, where)),
            where,
          ),
        ]
  })
  return distinct(paths)
}

/** The one path that several columns form, outermost first; trailing empty ones shorten it. Throws InputError `LABEL_TYPE` or `LABEL_NAME`. */
export function pathOfColumns(values: readonly unknown[], where: Place): string[][] {
  const names = values.map((value) => (value === null || value === undefined ? '' : nameOf(value, where)))
  while (names.at(-1) === '') names.pop()
  return names.length === 0 ? [] : [checkPath(names, where)]
}

function distinct(paths: string[][]): string[][] {
  if (paths.length < 2) return paths
  return [...new Map(paths.map((path) => [JSON.stringify(path), path])).values()]
}
