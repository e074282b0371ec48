/** Labels as ready-made JSON: nearly all of an answer is label names, and they are the same for every text. */
import { formatPath, type LabelTree } from '../../labels/label-tree.ts'

export interface LabelJson {
  readonly tree: LabelTree
  /** The label's path: `["billing","refund"]`. */
  path(id: number): string
  /** The label's path as people read it: `"billing › refund"`. */
  name(id: number): string
  /** Ids of each level, from the first, ascending. */
  readonly levels: readonly (readonly number[])[]
}

const made = new WeakMap<LabelTree, LabelJson>()

/** The labels of a tree. A label's JSON is made when it is first asked for: trees may have millions. */
export function labelJson(tree: LabelTree): LabelJson {
  const known = made.get(tree)
  if (known) return known
  const paths = new Map<number, string>()
  const names = new Map<number, string>()
  const levels = Array.from({ length: tree.depth }, (_, level) => tree.level(level + 1))
  const json: LabelJson = {
    tree,
    path: (id) => remembered(paths, id, () => JSON.stringify(tree.path(id))),
    name: (id) => remembered(names, id, () => JSON.stringify(formatPath(tree.path(id)))),
    levels,
  }
  made.set(tree, json)
  return json
}

function remembered(values: Map<number, string>, id: number, make: () => string): string {
  let value = values.get(id)
  if (value === undefined) values.set(id, (value = make()))
  return value
}

/** As JSON.stringify writes a number. */
export const numberJson = (value: number): string => (Number.isFinite(value) ? String(value) : 'null')

/** A list whose items are JSON already. */
export function listJson<T>(items: Iterable<T>, json: (item: T) => string): string {
  let text = '['
  for (const item of items) text += text.length === 1 ? json(item) : `,${json(item)}`
  return `${text}]`
}
