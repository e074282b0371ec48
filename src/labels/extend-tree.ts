/** A label tree grown by paths that it does not have. */
import { type LabelSpec, LabelTree } from './label-tree.ts'

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
