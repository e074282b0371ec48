/**
 * A head's logits as scores that any program can read: after a plain softmax (or sigmoid, with several labels a row) they are the probabilities
 * that this package gives. A conditional softmax becomes log-probabilities of whole paths, by two products with 0-1 matrices.
 */
import { add, div, exp, type Graph, log, matmul, reduceMax, slice, sub, type Tensor } from '../../graph/index.ts'
import { formatPath } from '../../labels/label-tree.ts'
import { isLevelled, pathGroups } from '../../labels/level-layout.ts'
import type { NodeProbabilities } from '../../labels/node-probabilities.ts'
import { InputError } from '../../util/errors.ts'
import { type Classifier, layoutOf } from '../classifier.ts'

export interface PathScores {
  /** Names of the outputs, in order. */
  readonly labels: readonly string[]
  readonly activation: 'softmax' | 'sigmoid'
  /** Adds the nodes that turn logits [B, units] into scores [B, labels]. */
  build(graph: Graph, logits: Tensor): Tensor
  /** The probabilities that the scores must give for one text. */
  expected(logits: Float32Array, probabilities: NodeProbabilities): number[]
}

const largestMatrix = 50_000_000

/** @throws InputError `EXPORT_SIZE` for a tree whose paths make too large a matrix. */
export function pathScores(classifier: Classifier): PathScores {
  const { tree, settings } = classifier
  const layout = layoutOf(settings)
  const { temperature } = settings
  const label = (id: number) => formatPath(tree.path(id))
  const scaled = (logits: Tensor) => (temperature === 1 ? logits : div(logits, temperature))
  if (layout.activation === 'sigmoid')
    return {
      labels: Array.from(layout.unitNodes, label),
      activation: 'sigmoid',
      build: (_, logits) => scaled(logits),
      expected: (logits) => Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit / temperature))),
    }
  if (layout.groups.length === 1 || isLevelled(layout)) {
    const { start, end } = pathGroups(layout)[0]!
    const ends = Array.from(layout.unitNodes.subarray(start, end))
    return {
      labels: ends.map(label),
      activation: 'softmax',
      build: (_, logits) => scaled(slice(logits, 1, start, end - start)),
      expected: (_, { ending }) => ends.map((id) => ending[id]!),
    }
  }
  const units = layout.unitNodes.length
  const groups = layout.groups.length
  const ends = endsOf(layout)
  if (units * Math.max(groups, ends.length) > largestMatrix)
    throw new InputError('EXPORT_SIZE', `The tree of ${units} labels is too large to be written out path by path`)
  const groupOfUnit = new Float32Array(units * groups)
  for (const [group, { start, end }] of layout.groups.entries())
    for (let unit = start; unit < end; unit++) groupOfUnit[unit * groups + group] = 1
  const unitsOfPath = new Float32Array(units * ends.length)
  for (const [index, { path }] of ends.entries()) for (const unit of path) unitsOfPath[unit * ends.length + index] = 1
  return {
    labels: ends.map(({ node }) => label(node)),
    activation: 'softmax',
    build(graph, logits) {
      const x = scaled(logits)
      const most = reduceMax(x, [1], { keepDims: true })
      const membership = graph.constant(groupOfUnit, [units, groups])
      const sums = matmul(exp(sub(x, most)), membership)
      const logSums = add(log(sums), most)
      const logShares = sub(x, matmul(logSums, membership, { transB: true }))
      return matmul(logShares, graph.constant(unitsOfPath, [units, ends.length]))
    },
    expected: (_, { ending }) => ends.map(({ node }) => ending[node]!),
  }
}

/** Every node at which a path may end, with the units whose shares multiply to its probability. */
function endsOf({ groups, unitNodes }: ReturnType<typeof layoutOf>): { node: number; path: number[] }[] {
  const inner = new Set(groups.map(({ parent }) => parent))
  const above = new Map<number, number[]>([[-1, []]])
  const ends: { node: number; path: number[] }[] = []
  for (const { parent, start, end } of [...groups].sort((a, b) => a.parent - b.parent))
    for (let unit = start; unit < end; unit++) {
      const node = unitNodes[unit]!
      const path = [...above.get(parent)!, unit]
      if (node !== parent) above.set(node, path)
      if (node === parent || !inner.has(node)) ends.push({ node, path })
    }
  return ends
}
