/**
 * First values of label vectors from the names of labels, in the encoder's own space: with few rows the strongest thing to start from. Names are read as
 * words; a title stands in for a name that is a code.
 */
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelNode, LabelTree } from '../labels/label-tree.ts'
import type { SlotInput } from './head-method.ts'

/** embeddings: the mean of the rows of the token table. states: the mean of the last hidden states of the name as a text. */
export type NameVectors = 'embeddings' | 'states'

export interface LabelNameOptions {
  /** Add the mean of the children's vectors to that of their parent, from the leaves up. */
  children?: boolean
  /** Count the tokens around a text, such as [CLS], too. */
  frame?: boolean
}

/** The words of a label: its title, or its name with the joints of identifiers taken apart. */
export const labelWords = ({ title, name }: Pick<LabelNode, 'title' | 'name'>): string =>
  (title ?? name)
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/[_\-./\s]+/g, ' ')
    .trim()

/** Tokens of a label's words at most. */
const longest = 64

/** One vector per unit of the layout, [units, hidden]. */
export async function labelNameVectors(
  input: Pick<SlotInput, 'tree' | 'layout' | 'config' | 'tokenizer' | 'states' | 'weights' | 'tokenTable'>,
  kind: NameVectors,
  { children = false, frame = false }: LabelNameOptions = {},
): Promise<Float32Array> {
  const { tree, layout, tokenizer, config } = input
  const width = config.hiddenSize
  const tokens = tree.nodes.map((node) => tokenizer.encode(labelWords(node), longest))
  const rows =
    kind === 'states'
      ? await input.states(tokens)
      : await input.weights(input.tokenTable).then((table) => tokens.map((ids) => rowsOf(table, ids, width)))
  const { prefix, suffix } = tokenizer.frame
  const vectors = rows.map((values, node) => {
    const count = tokens[node]!.length
    const own = count > prefix.length + suffix.length && !frame ? [prefix.length, count - suffix.length] : [0, count]
    return meanOf(values, width, own[0]!, own[1]!)
  })
  if (children) addChildren(tree, vectors)
  return ofUnits(layout, vectors, width)
}

function rowsOf(table: Float32Array, ids: Int32Array, width: number): Float32Array {
  const rows = new Float32Array(ids.length * width)
  for (const [i, id] of ids.entries()) rows.set(table.subarray(id * width, (id + 1) * width), i * width)
  return rows
}

function meanOf(rows: Float32Array, width: number, from: number, to: number): Float32Array {
  const mean = new Float32Array(width)
  for (let row = from; row < to; row++) for (let k = 0; k < width; k++) mean[k]! += rows[row * width + k]! / (to - from)
  return mean
}

/** Ids of children are larger than their parents'. */
function addChildren(tree: LabelTree, vectors: readonly Float32Array[]): void {
  for (let id = tree.size - 1; id >= 0; id--) {
    const { children } = tree.nodes[id]!
    for (const child of children)
      for (const [k, value] of vectors[child]!.entries()) vectors[id]![k]! += value / children.length
  }
}

function ofUnits({ unitNodes }: HeadLayout, vectors: readonly Float32Array[], width: number): Float32Array {
  const matrix = new Float32Array(unitNodes.length * width)
  for (const [unit, node] of unitNodes.entries()) matrix.set(vectors[node]!, unit * width)
  return matrix
}

/**
 * The local hierarchies of the training rows: which set of labels each row has, and a vector of unit length for each set, the mean state of the text of its
 * names, level after level.
 */
export async function labelSetVectors(
  input: Pick<SlotInput, 'tree' | 'config' | 'tokenizer' | 'states' | 'train'>,
): Promise<{ setOf: Uint32Array; vectors: Float32Array; width: number }> {
  const { tree, tokenizer, config, train } = input
  const width = config.hiddenSize
  const sets = new Map<string, { index: number; words: string }>()
  const setOf = Uint32Array.from(train.labels, (labels) => {
    const ids = tree.closure(labels)
    const key = ids.join()
    let set = sets.get(key)
    if (!set) {
      set = { index: sets.size, words: ids.map((id) => labelWords(tree.nodes[id]!)).join(', ') }
      sets.set(key, set)
    }
    return set.index
  })
  const tokens = Array.from(sets.values(), ({ words }) => tokenizer.encode(words, longest))
  const states = await input.states(tokens)
  const vectors = new Float32Array(sets.size * width)
  for (const [set, values] of states.entries()) {
    const mean = meanOf(values, width, 0, tokens[set]!.length)
    const length = Math.hypot(...mean) || 1
    for (let k = 0; k < width; k++) vectors[set * width + k] = mean[k]! / length
  }
  return { setOf, vectors, width }
}
