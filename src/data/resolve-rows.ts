/** From rows with label paths to ids of a label tree, and from rows to a tree where no file gives one. */
import { type LabelSpec, LabelTree } from '../labels/label-tree.ts'
import { EspalierError, InputError } from '../util/errors.ts'
import type { Row } from './row.ts'

export interface ResolveOptions {
  /**
   * A label that is not in the tree: `error` (default); `skip` the label, and the row if it has no other; or `add` it to the tree, which
   * gives a new tree with new ids.
   */
  unknownLabels?: 'error' | 'skip' | 'add'
}

export interface ResolvedRows {
  /** The tree given, or the larger one that `add` made. */
  tree: LabelTree
  rows: Row[]
  /** For each row the ids of its labels, as named (without ancestors), ascending, each once. Empty: no label applies. */
  ids: number[][]
  skipped: { labels: number; rows: number }
}

/**
 * Finds the labels of rows in a tree.
 *
 * @throws InputError `LABEL_UNKNOWN` or `LABEL_AMBIGUOUS` with the row's file and line.
 * @example
 * const { rows, ids } = resolveRows(tree, await data.collect(), { unknownLabels: 'skip' })
 */
export function resolveRows(tree: LabelTree, rows: readonly Row[], options: ResolveOptions = {}): ResolvedRows {
  const { unknownLabels = 'error' } = options
  const known = unknownLabels === 'add' ? extendTree(tree, unknownPaths(tree, rows)) : tree
  const resolved: ResolvedRows = { tree: known, rows: [], ids: [], skipped: { labels: 0, rows: 0 } }
  for (const row of rows) {
    const ids = new Set<number>()
    for (const path of row.labels) {
      const id = tryResolve(known, path, row, unknownLabels)
      if (id === undefined) resolved.skipped.labels++
      else ids.add(id)
    }
    if (row.labels.length > 0 && ids.size === 0) {
      resolved.skipped.rows++
      continue
    }
    resolved.rows.push(row)
    resolved.ids.push([...ids].sort((a, b) => a - b))
  }
  return resolved
}

function tryResolve(tree: LabelTree, path: string[], { file, line }: Row, unknownLabels: string): number | undefined {
  try {
    return tree.resolve(path, { file, line })
  } catch (error) {
    if (unknownLabels === 'skip' && EspalierError.is(error) && error.code === 'LABEL_UNKNOWN') return undefined
    throw error
  }
}

function unknownPaths(tree: LabelTree, rows: readonly Row[]): string[][] {
  return rows.flatMap((row) => row.labels.filter((path) => tryResolve(tree, path, row, 'skip') === undefined))
}

/** A tree with further paths; every prefix of a path becomes a label. The ids of the result are its own. */
export function extendTree(tree: LabelTree, paths: Iterable<readonly string[]>): LabelTree {
  const specs = new Map<string, LabelSpec>()
  for (const { id, name, parents, title, description } of tree.nodes)
    specs.set(String(id), {
      key: String(id),
      name,
      parents: parents.map(String),
      ...(title === undefined ? {} : { title }),
      ...(description === undefined ? {} : { description }),
    })
  const keyOf = (path: readonly string[]): string => {
    const id = tree.find(path)
    return id === undefined ? `new ${JSON.stringify(path)}` : String(id)
  }
  for (const path of paths) {
    for (let length = 1; length <= path.length; length++) {
      const key = keyOf(path.slice(0, length))
      if (specs.has(key)) continue
      specs.set(key, { key, name: path[length - 1]!, parents: length === 1 ? [] : [keyOf(path.slice(0, length - 1))] })
    }
  }
  return specs.size === tree.size ? tree : new LabelTree([...specs.values()])
}

/** Builds a label tree from the paths that rows carry. Throws InputError `DATA_UNLABELLED` if no row has a label. */
export function treeFromRows(rows: readonly Pick<Row, 'labels' | 'file'>[]): LabelTree {
  const file = rows[0]?.file
  if (!rows.some((row) => row.labels.length > 0))
    throw new InputError('DATA_UNLABELLED', 'No row has a label', {
      where: file === undefined ? {} : { file },
      help: 'name the column of labels with --labels-column (in code: labels); several, outermost first, form a path',
    })
  return LabelTree.fromPaths(
    rows.flatMap((row) => row.labels),
    file,
  )
}
