/** Plain tables: columns aligned by display width, numbers to the right, two spaces between. */
import { padEnd, padStart, textWidth, truncateMiddle, wrap } from './text-width.ts'

export interface Column {
  head?: string
  align?: 'left' | 'right'
  /** May be cut in the middle when the table is wider than the terminal. */
  flexible?: boolean
}

const gap = '  '
const narrowest = 8

/**
 * Lines of a table. Where it is wider than `width`, flexible columns give way, the widest first; their cells must be plain text (colour the
 * others freely).
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string[] {
  const heads = columns.some((column) => column.head !== undefined) ? [columns.map((column) => column.head ?? '')] : []
  const all = [...heads, ...rows]
  const widths = columns.map((_, index) => Math.max(0, ...all.map((row) => textWidth(row[index] ?? ''))))
  let excess = widths.reduce((sum, cells) => sum + cells, gap.length * (columns.length - 1)) - width
  while (excess > 0) {
    const flexible = columns.flatMap((column, index) => (column.flexible && widths[index]! > narrowest ? [index] : []))
    if (flexible.length === 0) break
    const widest = flexible.reduce((best, index) => (widths[index]! > widths[best]! ? index : best))
    widths[widest]!--
    excess--
  }
  return all.map((row) =>
    columns
      .map(({ align, flexible }, index) => {
        const cell = flexible ? truncateMiddle(row[index] ?? '', widths[index]!) : (row[index] ?? '')
        return align === 'right' ? padStart(cell, widths[index]!) : padEnd(cell, widths[index]!)
      })
      .join(gap)
      .trimEnd(),
  )
}

/**
 * Lines of `name  value`, names padded to one width and styled by `paint`. A value that is one text is wrapped to `columns`; a list of lines
 * is taken as it is.
 */
export function facts(
  entries: readonly (readonly [name: string, value: string | readonly string[]])[],
  paint: (name: string) => string,
  columns = Number.POSITIVE_INFINITY,
): string[] {
  const width = Math.max(...entries.map(([name]) => textWidth(name)))
  const room = Math.max(20, columns - width - gap.length)
  return entries.flatMap(([name, value]) =>
    (typeof value === 'string' ? wrap(value, room) : value).map(
      (line, index) => `${index === 0 ? paint(padEnd(name, width)) : ' '.repeat(width)}${gap}${line}`,
    ),
  )
}
