/** A label tree as lines of text, the first levels and the first children of each label. */
import type { LabelTree } from '../labels/label-tree.ts'
import type { Paint } from './terminal.ts'
import { printable, truncate } from './text-width.ts'

export interface DrawOptions {
  /** Levels to draw. */
  levels: number
  /** Children to draw under one label; the rest is counted. */
  children: number
  columns: number
  paint: Paint
  /** Said after a label's name, for example its number of rows. */
  remark?: (id: number) => string
}

export function drawTree(tree: LabelTree, options: DrawOptions): string[] {
  const lines: string[] = []
  const draw = (ids: readonly number[], indent: string, level: number): void => {
    // One label too many is drawn rather than counted: "1 more" takes a line too.
    const shown = ids.length === options.children + 1 ? ids : ids.slice(0, options.children)
    for (const [index, id] of shown.entries()) {
      const { name, title, children } = tree.nodes[id]!
      const last = index === ids.length - 1
      const hidden = children.length > 0 && level >= options.levels ? `${children.length} below` : ''
      const remark = [options.remark?.(id) ?? '', hidden].filter(Boolean).join(', ')
      const stem = `${indent}${last ? '└─' : '├─'} `
      const room = options.columns - stem.length - (remark === '' ? 0 : remark.length + 2)
      const label = truncate(printable(title === undefined ? name : `${name} ${title}`), Math.max(8, room))
      lines.push(`${options.paint('dim', stem)}${label}${remark === '' ? '' : `  ${options.paint('dim', remark)}`}`)
      if (level < options.levels) draw(children, `${indent}${last ? '   ' : '│  '}`, level + 1)
    }
    if (shown.length < ids.length) {
      lines.push(options.paint('dim', `${indent}└─ … ${ids.length - shown.length} more`))
    }
  }
  draw(tree.roots, '', 1)
  return lines
}
