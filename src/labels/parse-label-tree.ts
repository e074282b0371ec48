/** A label tree from JSON: nested `{name, children}`, a parent map `{child: parent}`, or a list of names or paths. */
import { InputError } from '../util/errors.ts'
import { type LabelSpec, LabelTree } from './label-tree.ts'

const maxDepth = 1000

/**
 * Builds a tree from a parsed JSON value. Accepted forms:
 * - nested: `{"name": "root", "children": [{"name": "travel", "children": [...]}]}`, with optional `title`, `description`, and `id` to say
 *   that nodes in several places are one label with several parents;
 * - a parent map: `{"translate": "travel", "travel": null}`; a list of parents makes a label with several;
 * - a list of names `["spam", "ham"]` or of paths `[["travel", "translate"], ...]`.
 */
export function parseLabelTree(value: unknown, file?: string): LabelTree {
  const where = file === undefined ? {} : { file }
  if (Array.isArray(value)) {
    const paths = value.map((item, index) => {
      const path = typeof item === 'string' ? [item] : item
      if (
        !Array.isArray(path) ||
        path.length === 0 ||
        path.some((name) => typeof name !== 'string' || name.trim() === '')
      ) {
        throw new InputError(
          'TREE_FORMAT',
          `Expected a name or a path of names, received ${JSON.stringify(item)?.slice(0, 60)}`,
          { where: { ...where, key: `[${index}]` } },
        )
      }
      return path as string[]
    })
    return LabelTree.fromPaths(paths, file)
  }
  if (!isObject(value))
    throw new InputError('TREE_FORMAT', 'Expected a label tree: {name, children}, a parent map, or a list', { where })
  if (Array.isArray(value['children'])) return new LabelTree(nestedSpecs(value['children'], where), file)
  return new LabelTree(parentMapSpecs(value, where), file)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function nestedSpecs(children: unknown[], where: { file?: string }): LabelSpec[] {
  const specs = new Map<string, LabelSpec & { parents: string[] }>()
  const walk = (nodes: unknown[], parent: string | undefined, path: readonly string[]): void => {
    if (path.length > maxDepth)
      throw new InputError('TREE_FORMAT', `The label tree is deeper than ${maxDepth} levels`, { where })
    const names = new Set<string>()
    for (const [index, node] of nodes.entries()) {
      const place = { ...where, key: [...path, `children[${index}]`].join(' › ') }
      if (!isObject(node))
        throw new InputError(
          'TREE_FORMAT',
          `Expected a label {name, children}, received ${JSON.stringify(node)?.slice(0, 60)}`,
          { where: place },
        )
      const { name, title, description, id, children } = node
      if (typeof name !== 'string' || name.trim() === '')
        throw new InputError('LABEL_NAME', 'A label has no name', {
          where: place,
          help: 'give every label a non-empty "name"',
        })
      if (names.has(name))
        throw new InputError('LABEL_DUPLICATE', `Two siblings are both named "${name}"`, {
          where: place,
          help: 'rename or remove one of them',
        })
      names.add(name)
      for (const [field, text] of [
        ['title', title],
        ['description', description],
        ['id', id],
      ] as const) {
        if (text !== undefined && typeof text !== 'string')
          throw new InputError('TREE_FORMAT', `Expected "${field}" to be text`, {
            where: { ...place, key: `${place.key} › ${field}` },
          })
      }
      if (children !== undefined && !Array.isArray(children))
        throw new InputError('TREE_FORMAT', 'Expected "children" to be a list', { where: place })
      const below = [...path, name]
      const key = typeof id === 'string' ? `id:${id}` : `${parent ?? ''}/${name.length}:${name}`
      const known = specs.get(key)
      if (known) {
        if (known.name !== name)
          throw new InputError('TREE_FORMAT', `The id "${id}" is used for two names, "${known.name}" and "${name}"`, {
            where: place,
          })
        if (parent !== undefined && !known.parents.includes(parent)) known.parents.push(parent)
        if (isAncestor(specs, key, parent))
          throw new InputError('TREE_CYCLE', `The label tree has a cycle at "${name}"`, { where: place })
      } else {
        specs.set(key, {
          key,
          name,
          parents: parent === undefined ? [] : [parent],
          ...(title === undefined ? {} : { title: title as string }),
          ...(description === undefined ? {} : { description: description as string }),
        })
      }
      if (children !== undefined) walk(children, key, below)
    }
  }
  walk(children, undefined, [])
  return [...specs.values()]
}

function isAncestor(specs: Map<string, LabelSpec>, key: string, from: string | undefined): boolean {
  if (from === undefined) return false
  return from === key || specs.get(from)!.parents.some((parent) => isAncestor(specs, key, parent))
}

function parentMapSpecs(map: Record<string, unknown>, where: { file?: string }): LabelSpec[] {
  const specs = new Map<string, LabelSpec>()
  for (const [name, parent] of Object.entries(map)) {
    const parents =
      parent === null || parent === undefined || parent === '' ? [] : typeof parent === 'string' ? [parent] : parent
    if (!Array.isArray(parents) || parents.some((item) => typeof item !== 'string')) {
      throw new InputError('TREE_FORMAT', 'Expected a parent name, a list of them, or null', {
        where: { ...where, key: name },
        help: 'or use the nested form {"name": ..., "children": [...]}',
      })
    }
    specs.set(name, { key: name, name, parents })
  }
  // A parent that is named only as a parent stands at the top.
  for (const { parents } of [...specs.values()])
    for (const parent of parents) if (!specs.has(parent)) specs.set(parent, { key: parent, name: parent, parents: [] })
  return [...specs.values()]
}
