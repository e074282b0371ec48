/** Describes a data file: rows, labels, lengths of texts, repetitions, its label tree with rows per label, and the first rows. */
import { readDataset } from '../../data/dataset.ts'
import type { ReadOptions } from '../../data/row.ts'
import { formatPath } from '../../labels/label-tree.ts'
import { type DataDescription, describeData } from '../describe-data.ts'
import { drawTree } from '../draw-tree.ts'
import { formatCount, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { printable, truncate, truncateMiddle } from '../text-width.ts'
import { treeFacts, treeSummary } from './labels.ts'

export async function inspectData(path: string, options: ReadOptions, session: Session): Promise<void> {
  const data = await readDataset(path, { ...options, ...session.run })
  const description = await describeData(data)
  session.settle()
  if (session.json) {
    const { tree, ...rest } = description
    return session.printJson({
      kind: 'data',
      path,
      files: data.files,
      ...rest,
      ...(tree ? { tree: treeFacts(tree) } : {}),
    })
  }
  const { paint, columns } = session.stdout
  await session.print(...facts(entriesOf(path, description, columns), (name) => paint('dim', name), columns))
  const { tree, labels } = description
  if (!tree) return
  const rows = rowsBelow(description)
  const drawing = { columns, paint, remark: (id: number) => formatCount(rows[id]!) }
  if (labels.length > 1) await session.print('', ...drawTree(tree, drawing))
}

function entriesOf(path: string, data: DataDescription, columns: number): [string, string | string[]][] {
  const { characters, labels, tree } = data
  const remarks = [
    data.unlabelled > 0 ? `${formatCount(data.unlabelled)} without a label` : '',
    data.multiLabel > 0 ? `${formatCount(data.multiLabel)} with several` : '',
    data.partial > 0 ? `${formatCount(data.partial)} with a path that stops above a leaf` : '',
  ].filter(Boolean)
  const entries: [string, string | string[]][] = [
    ['data', path],
    ['rows', [formatCount(data.rows), ...remarks].join(', ')],
    [
      'texts',
      `${formatCount(characters.least)} to ${formatCount(characters.most)} characters, median ${formatCount(characters.median)}, 95 % up to ${formatCount(characters.p95)}`,
    ],
  ]
  if (data.repeated > 0)
    entries.push([
      'repeated',
      `${plural(data.repeated, 'row')}${data.contradictory > 0 ? `, ${formatCount(data.contradictory)} with other labels than the first time` : ''}`,
    ])
  if (tree) entries.push(['labels', treeSummary(tree)])
  if (labels.length > 1) {
    const name = (index: number) => {
      const { path: label, rows } = labels.at(index)!
      return `${truncateMiddle(printable(formatPath(label)), columns - 40)} (${formatCount(rows)})`
    }
    entries.push(['most', name(0)], ['fewest', name(-1)])
  }
  const first = data.first.map(({ text, labels: paths }) => {
    const label = paths.map((label) => printable(formatPath(label))).join(' + ')
    const shown = truncateMiddle(label, Math.floor(columns / 2))
    return `"${truncate(printable(text), Math.max(20, columns - 15 - shown.length))}"${shown === '' ? '' : ` ${shown}`}`
  })
  if (first.length > 0) entries.push(['first rows', first])
  return entries
}

/** Rows at or below every label of the tree. */
function rowsBelow({ tree, labels }: DataDescription): number[] {
  const rows = tree!.nodes.map(() => 0)
  for (const { path, rows: own } of labels) for (const id of tree!.closure([tree!.find(path)!])) rows[id]! += own
  return rows
}
