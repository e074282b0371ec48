/** A label tree as lines of text: as much of its first levels as fits a screen, the rest counted. */
import type { LabelTree } from '../labels/label-tree.ts'
import type { Paint } from './terminal.ts'
import { printable, truncate } from './text-width.ts'

export interface DrawOptions {
  columns: number
  paint: Paint
  /** About so many lines. Default 30. */
  lines?: number
  /** Said after a label's name, for example its number of rows. */
  remark?: (id: number) => string
}

/** Labels of the first level that are drawn at most. */
const mostRoots = 12
/** Children drawn under one label, from the roomiest drawing to the tightest; 0 draws the first level only. */
const childrenSteps = [8, 5, 3, 2, 0]

export function drawTree(tree: LabelTree, options: DrawOptions): string[] {
  const { lines = 30 } = options
  for (const children of childrenSteps) {
    const drawn = drawLevels(tree, children, options)
    if (drawn.length <= lines || children === 0) return drawn
  }
  return []
}

function drawLevels(tree: LabelTree, most: number, options: DrawOptions): string[] {
  const lines: string[] = []
  const draw = (ids: readonly number[], indent: string, limit: number): void => {
    // One label too many is drawn rather than counted: "1 more" takes a line too.
    const shown = ids.length === limit + 1 ? ids : ids.slice(0, limit)
    for (const [index, id] of shown.entries()) {
      const { name, title, children, level } = tree.nodes[id]!
      const last = index === ids.length - 1
      const open = level === 1 && most > 0
      const hidden = children.length > 0 && !open ? `${children.length} below` : ''
      const remark = [options.remark?.(id) ?? '', hidden].filter(Boolean).join(', ')
      const stem = `${indent}${last ? '└─' : '├─'} `
      const room = options.columns - stem.length - (remark === '' ? 0 : remark.length + 2)
      const label = truncate(printable(title === undefined ? name : `${name} ${title}`), Math.max(8, room))
      lines.push(`${options.paint('dim', stem)}${label}${remark === '' ? '' : `  ${options.paint('dim', remark)}`}`)
      if (open) draw(children, `${indent}${last ? '   ' : '│  '}`, most)
    }
    if (shown.length < ids.length) lines.push(options.paint('dim', `${indent}└─ … ${ids.length - shown.length} more`))
  }
  draw(tree.roots, '', mostRoots)
  return lines
}
