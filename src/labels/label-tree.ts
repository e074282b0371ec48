/**
 * The label tree: labels of any depth, paths in, paths out. A label is known by its path, never by its bare name, so one name may stand
 * under several parents. A label may also have several parents (a directed acyclic graph); it then has several paths and one id.
 */
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'

/** How paths are shown to people. */
export const pathSeparator = ' › '

/** A label path as people read it: `billing › invoice`. */
export const formatPath = (path: readonly string[]): string => path.join(pathSeparator)

export interface LabelNode {
  /** 0..size-1, by level, then by (smallest) parent, then by name: parents have smaller ids than their children, siblings are contiguous in a tree. */
  readonly id: number
  readonly name: string
  /** Ids of the parents; empty at level 1 (the root is implied and has no id). */
  readonly parents: readonly number[]
  readonly children: readonly number[]
  /** 1 below the root; with several parents, one more than the deepest of them. */
  readonly level: number
  /** A readable name, where `name` is a code. */
  readonly title?: string
  readonly description?: string
}

/** What a node is built from. `key` is unique; `parents` are keys; no parents means level 1. */
export interface LabelSpec {
  key: string
  name: string
  parents: readonly string[]
  title?: string
  description?: string
}

/** The nested JSON form: `{name, children}`. The root's name is not a label. `id` marks one label that stands in several places. */
export interface LabelTreeJson {
  name: string
  title?: string
  description?: string
  id?: string
  children?: LabelTreeJson[]
}

const pathKey = (path: readonly string[]): string => JSON.stringify(path)
/** Paths of one node beyond this many are refused: a graph so tangled is no taxonomy, and listing its paths would not end. */
const maxPathsPerLabel = 10_000

export class LabelTree {
  readonly nodes: readonly LabelNode[]
  /** Ids of level 1. */
  readonly roots: readonly number[]
  /** Ids without children, ascending. */
  readonly leaves: readonly number[]
  /** Number of levels; 0 for a tree without labels (never built by the readers). */
  readonly depth: number
  readonly #byPath = new Map<string, number>()
  readonly #byName = new Map<string, number[]>()
  readonly #paths: string[][][]
  readonly #ancestors: number[][]

  /** Builds a tree. Ids depend on the labels alone, not on the order of `specs`. Throws InputError `TREE_EMPTY`, `TREE_CYCLE`, `TREE_PARENT`, `LABEL_DUPLICATE`, `LABEL_NAME`. */
  constructor(specs: readonly LabelSpec[], file?: string) {
    const where = file === undefined ? {} : { file }
    if (specs.length === 0)
      throw new InputError('TREE_EMPTY', 'The label tree has no labels', {
        where,
        help: 'expected at least one label below the root',
      })
    const byKey = new Map<string, LabelSpec>()
    for (const spec of specs) {
      if (typeof spec.name !== 'string' || spec.name.trim() === '')
        throw new InputError('LABEL_NAME', 'A label has an empty name', { where: { ...where, key: spec.key } })
      if (byKey.has(spec.key))
        throw new InputError('LABEL_DUPLICATE', `The label "${spec.key}" is defined twice`, {
          where,
          help: 'give one of them another name',
        })
      byKey.set(spec.key, spec)
    }
    const levels = levelsOf(specs, byKey, where)
    const order = canonicalOrder(specs, levels)
    const ids = new Map(order.map((spec, id) => [spec.key, id]))
    const children: number[][] = specs.map(() => [])
    const parents = order.map((spec) => spec.parents.map((key) => ids.get(key)!).sort((a, b) => a - b))
    for (const [id, list] of parents.entries()) for (const parent of list) children[parent]!.push(id)
    this.nodes = order.map(({ key, name, title, description }, id) => {
      return {
        id,
        name,
        parents: parents[id]!,
        children: children[id]!,
        level: levels.get(key)!,
        ...(title === undefined ? {} : { title }),
        ...(description === undefined ? {} : { description }),
      }
    })
    this.roots = this.nodes.filter((node) => node.parents.length === 0).map((node) => node.id)
    this.leaves = this.nodes.filter((node) => node.children.length === 0).map((node) => node.id)
    this.depth = this.nodes.at(-1)!.level
    this.#paths = []
    this.#ancestors = []
    for (const node of this.nodes) {
      const above = node.parents.length === 0 ? [[]] : node.parents.flatMap((parent) => this.#paths[parent]!)
      if (above.length > maxPathsPerLabel)
        throw new InputError(
          'TREE_PATHS',
          `The label "${node.name}" can be reached by more than ${maxPathsPerLabel} paths`,
          { where, help: 'give labels fewer parents' },
        )
      const paths = above.map((path) => [...path, node.name])
      this.#paths.push(paths)
      this.#ancestors.push(
        [...new Set(node.parents.flatMap((parent) => [...this.#ancestors[parent]!, parent]))].sort((a, b) => a - b),
      )
      for (const path of paths) {
        const key = pathKey(path)
        if (this.#byPath.has(key))
          throw new InputError('LABEL_DUPLICATE', `Two siblings are both named "${node.name}"`, {
            where: { ...where, key: formatPath(path) },
            help: 'rename or remove one of them',
          })
        this.#byPath.set(key, node.id)
      }
      const same = this.#byName.get(node.name)
      if (same) same.push(node.id)
      else this.#byName.set(node.name, [node.id])
    }
  }

  /** Number of labels, root excluded. */
  get size(): number {
    return this.nodes.length
  }

  /** True if every label has at most one parent. */
  get isTree(): boolean {
    return this.nodes.every((node) => node.parents.length <= 1)
  }

  /** Ids of one level (from 1), ascending. */
  level(level: number): number[] {
    return this.nodes.filter((node) => node.level === level).map((node) => node.id)
  }

  /** The path from the root to a label; the first one where it has several parents. */
  path(id: number): string[] {
    return this.#paths[id]![0]!
  }

  /** The ids along `path(id)`, from level 1 to the label itself. */
  pathIds(id: number): number[] {
    const ids = [id]
    for (let parent = this.nodes[id]!.parents[0]; parent !== undefined; parent = this.nodes[parent]!.parents[0])
      ids.push(parent)
    return ids.reverse()
  }

  /** All paths from the root to a label. */
  paths(id: number): readonly string[][] {
    return this.#paths[id]!
  }

  /** Ancestors of a label, ascending, itself excluded. */
  ancestors(id: number): readonly number[] {
    return this.#ancestors[id]!
  }

  /** The ids and all their ancestors, ascending, each once. */
  closure(ids: Iterable<number>): number[] {
    const set = new Set<number>()
    for (const id of ids) {
      set.add(id)
      for (const ancestor of this.#ancestors[id]!) set.add(ancestor)
    }
    return [...set].sort((a, b) => a - b)
  }

  /** Those of `ids` that have no descendant in `ids`: the ends of the paths. */
  ends(ids: Iterable<number>): number[] {
    const set = new Set(ids)
    const covered = new Set([...set].flatMap((id) => this.#ancestors[id]!))
    return [...set].filter((id) => !covered.has(id)).sort((a, b) => a - b)
  }

  /** The label at a path from the root, or undefined. */
  find(path: readonly string[]): number | undefined {
    return this.#byPath.get(pathKey(path))
  }

  /**
   * The label meant by a path of a row: a path from the root (it may stop at an inner node), or a single name that occurs once in the tree.
   * Throws InputError `LABEL_UNKNOWN` or `LABEL_AMBIGUOUS`, placed at `where`.
   */
  resolve(path: readonly string[], where: { file?: string; line?: number } = {}): number {
    const found = this.find(path)
    if (found !== undefined) return found
    if (path.length === 1) {
      const named = this.#byName.get(path[0]!) ?? []
      if (named.length === 1) return named[0]!
      if (named.length > 1) {
        throw new InputError('LABEL_AMBIGUOUS', `The label "${path[0]}" stands in ${named.length} places of the tree`, {
          where,
          help: `write its path, for example "${formatPath(this.path(named[0]!))}"`,
          data: { path },
        })
      }
    }
    throw new InputError('LABEL_UNKNOWN', `Label path not in the tree: "${formatPath(path)}"`, {
      where,
      help: this.#suggest(path),
      data: { path },
    })
  }

  #suggest(path: readonly string[]): string {
    const known: string[] = []
    let siblings: readonly number[] = this.roots
    for (const name of path) {
      const next = siblings.find((id) => this.nodes[id]!.name === name)
      if (next === undefined) {
        const guess = didYouMean(
          name,
          siblings.map((id) => this.nodes[id]!.name),
          '',
        )
        const named = /"(.*)"/.exec(guess)?.[1]
        return named === undefined
          ? 'fix the row, add the label to the tree, or pass --unknown-labels skip'
          : `did you mean "${formatPath([...known, named])}"?`
      }
      known.push(name)
      siblings = this.nodes[next]!.children
    }
    return 'fix the row, or add the label to the tree'
  }

  /** The nested JSON form, which `readLabelTree` reads back to an equal tree. */
  toJSON(): LabelTreeJson {
    const written = new Set<number>()
    const build = (id: number): LabelTreeJson => {
      const { name, title, description, parents, children } = this.nodes[id]!
      const again = written.has(id)
      written.add(id)
      return {
        name,
        ...(title === undefined ? {} : { title }),
        ...(description === undefined ? {} : { description }),
        ...(parents.length > 1 ? { id: pathKey(this.path(id)) } : {}),
        ...(children.length > 0 && !again ? { children: children.map(build) } : {}),
      }
    }
    return { name: 'root', children: this.roots.map(build) }
  }

  /** Builds a tree from label paths; every prefix becomes a label. */
  static fromPaths(paths: Iterable<readonly string[]>, file?: string): LabelTree {
    const specs = new Map<string, LabelSpec>()
    for (const path of paths) {
      for (let length = 1; length <= path.length; length++) {
        const key = pathKey(path.slice(0, length))
        if (!specs.has(key))
          specs.set(key, {
            key,
            name: path[length - 1]!,
            parents: length === 1 ? [] : [pathKey(path.slice(0, length - 1))],
          })
      }
    }
    return new LabelTree([...specs.values()], file)
  }
}

/** Level of every key; throws on unknown parents and cycles. */
function levelsOf(
  specs: readonly LabelSpec[],
  byKey: Map<string, LabelSpec>,
  where: { file?: string },
): Map<string, number> {
  const waiting = new Map<string, number>()
  const children = new Map<string, string[]>()
  for (const { key, name, parents } of specs) {
    if (new Set(parents).size < parents.length)
      throw new InputError('TREE_PARENT', `The label "${name}" names the same parent twice`, { where })
    waiting.set(key, parents.length)
    for (const parent of parents) {
      if (!byKey.has(parent)) {
        throw new InputError('TREE_PARENT', `The parent "${parent}" of label "${name}" is not in the tree`, {
          where: { ...where, key },
          help: didYouMean(parent, byKey.keys(), 'add it, or use null for a label at the top'),
        })
      }
      const siblings = children.get(parent)
      if (siblings) siblings.push(key)
      else children.set(parent, [key])
    }
  }
  const levels = new Map<string, number>()
  let front = specs.filter((spec) => spec.parents.length === 0).map((spec) => spec.key)
  for (let level = 1; front.length > 0; level++) {
    const next: string[] = []
    for (const key of front) {
      levels.set(key, level)
      for (const child of children.get(key) ?? []) {
        const left = waiting.get(child)! - 1
        waiting.set(child, left)
        if (left === 0) next.push(child)
      }
    }
    front = next
  }
  if (levels.size < specs.length) {
    const stuck = specs.filter((spec) => !levels.has(spec.key))
    let at = stuck[0]!
    const seen: LabelSpec[] = []
    while (!seen.includes(at)) {
      seen.push(at)
      at = byKey.get(at.parents.find((parent) => !levels.has(parent))!)!
    }
    const cycle = [...seen.slice(seen.indexOf(at)), at].map((spec) => spec.name)
    throw new InputError('TREE_CYCLE', `The label tree has a cycle: ${cycle.join(' → ')}`, {
      where,
      help: 'remove one of these parent links',
      data: { cycle },
    })
  }
  return levels
}

/** Specs by level, then by the smallest id among their parents, then by name. */
function canonicalOrder(specs: readonly LabelSpec[], levels: Map<string, number>): LabelSpec[] {
  const byLevel: LabelSpec[][] = []
  for (const spec of specs) (byLevel[levels.get(spec.key)! - 1] ??= []).push(spec)
  const ids = new Map<string, number>()
  const ordered: LabelSpec[] = []
  for (const level of byLevel) {
    const keyed = level.map((spec) => ({
      spec,
      parent: spec.parents.reduce((least, key) => Math.min(least, ids.get(key)!), Number.POSITIVE_INFINITY),
    }))
    keyed.sort((a, b) =>
      a.parent === b.parent
        ? a.spec.name < b.spec.name
          ? -1
          : a.spec.name > b.spec.name
            ? 1
            : 0
        : a.parent - b.parent,
    )
    for (const { spec } of keyed) {
      ids.set(spec.key, ids.size)
      ordered.push(spec)
    }
  }
  return ordered
}
