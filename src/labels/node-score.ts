/**
 * One number for how strongly a row of logits speaks for a node of the tree, with its gradient by the logits: what explanations explain. Computed
 * in the log domain, so that it stays finite and differentiable where probabilities round to 0 or 1.
 */
import { InputError } from '../util/errors.ts'
import type { HeadLayout } from './head-layout.ts'
import { formatPath, type LabelTree } from './label-tree.ts'
import { pathGroups } from './level-layout.ts'

/**
 * log-odds: log(p / (1 - p)) of the node's marginal probability p, at the model's temperature. probability: p itself. logit: the node's own output
 * before softmax or sigmoid, which a node that is no output of the head has not.
 */
export type ScoreKind = 'log-odds' | 'probability' | 'logit'

export interface NodeScore {
  readonly kind: ScoreKind
  /** The score for one row of logits, [units]. */
  value(logits: ArrayLike<number>): number
  /** Adds `scale` times the score's gradient by the logits to `target`, [units]. */
  addGradient(logits: ArrayLike<number>, target: Float64Array, scale?: number): void
}

/** A choice on the way to the node: in units start..end-1 of a softmax group, one of `inside`; or one sigmoid unit. */
interface Step {
  readonly start: number
  readonly end: number
  readonly inside: ReadonlySet<number>
}

/** log p and log(1 - p) of an event. */
interface LogPair {
  yes: number
  no: number
}

function logSumExp(values: readonly number[]): number {
  const most = values.reduce((largest, value) => Math.max(largest, value), Number.NEGATIVE_INFINITY)
  if (most === Number.NEGATIVE_INFINITY || values.length === 0) return Number.NEGATIVE_INFINITY
  let sum = 0
  for (const value of values) sum += Math.exp(value - most)
  return most + Math.log(sum)
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/**
 * The score of a node.
 * @param temperature divides the logits, as in `nodeProbabilities`; not for `logit`.
 * @throws InputError `EXPLAIN_LOGIT` if a logit is asked of a node that is no output of the head, `EXPLAIN_CERTAIN` if every text has the node.
 */
export function nodeScore(
  layout: HeadLayout,
  tree: LabelTree,
  temperature: number,
  node: number,
  kind: ScoreKind = 'log-odds',
): NodeScore {
  if (kind === 'logit') return ownLogit(layout, tree, node)
  const chainsOf = layout.activation === 'softmax' ? softmaxChains(layout, tree) : sigmoidChains(layout, tree)
  const sigmoid = layout.activation === 'sigmoid'
  const scaled = (logits: ArrayLike<number>) => Float64Array.from(logits, (logit) => logit / temperature)

  /** log p and log(1 - p) of each step, and of the chain of steps. */
  const follow = (z: Float64Array, chain: readonly Step[]) => {
    const steps = chain.map((step) => (sigmoid ? sigmoidPair(z, step) : softmaxPair(z, step)))
    let before = 0
    // Not the node: the first steps yes, then one no.
    const misses = steps.map(({ yes, no }) => {
      const miss = before + no
      before += yes
      return miss
    })
    return { steps, misses, yes: before, no: logSumExp(misses) }
  }
  const result = (z: Float64Array) => {
    const chains = chainsOf(node, z)
    const followed = chains.map((chain) => follow(z, chain))
    if (followed.length === 1) return { chains, followed, yes: followed[0]!.yes, no: followed[0]!.no }
    // A label with several parents is reached by one of several ways.
    const yes = Math.min(logSumExp(followed.map((one) => one.yes)), -1e-15)
    return { chains, followed, yes, no: Math.log(-Math.expm1(yes)) }
  }

  return {
    kind,
    value(logits) {
      const { yes, no } = result(scaled(logits))
      if (kind === 'probability') return Math.exp(yes)
      if (no === Number.NEGATIVE_INFINITY)
        throw new InputError(
          'EXPLAIN_CERTAIN',
          `Every text has the label "${formatPath(tree.path(node))}": there is nothing to explain`,
          { help: 'choose a label below it' },
        )
      return yes - no
    },
    addGradient(logits, target, scale = 1) {
      const z = scaled(logits)
      const { chains, followed, yes, no } = result(z)
      for (const [index, chain] of chains.entries()) {
        const one = followed[index]!
        // d yes: this chain's share. d no: of one chain, exact; of several, through p.
        const share = chains.length === 1 ? 1 : Math.exp(one.yes - yes)
        for (const [at, step] of chain.entries()) {
          // Steps before a miss count as yes in it.
          let missLater = 0
          for (let later = at + 1; later < chain.length; later++) missLater += weight(one.misses[later]!, one.no)
          const missHere = weight(one.misses[at]!, one.no)
          let byYes = share
          let byNo = 0
          if (kind === 'probability') byYes = share * Math.exp(yes)
          else if (chains.length === 1) {
            byYes = 1 - missLater
            byNo = -missHere
          } else byYes = share * (1 + Math.exp(yes - no))
          const add = sigmoid ? addSigmoid : addSoftmax
          add(z, step, target, (scale * byYes) / temperature, (scale * byNo) / temperature)
        }
      }
    },
  }
}

const weight = (part: number, whole: number): number =>
  whole === Number.NEGATIVE_INFINITY ? 0 : Math.exp(part - whole)

function ownLogit(layout: HeadLayout, tree: LabelTree, node: number): NodeScore {
  const unit = unitOf(layout, node)
  if (unit === undefined)
    throw new InputError(
      'EXPLAIN_LOGIT',
      `The label "${formatPath(tree.path(node))}" is no output of the model's head`,
      {
        help: 'explain its log-odds or its probability instead (--score log-odds)',
      },
    )
  return {
    kind: 'logit',
    value: (logits) => logits[unit]!,
    addGradient(_logits, target, scale = 1) {
      target[unit]! += scale
    },
  }
}

/** The unit that stands for a node itself, not for "the path stops here". */
function unitOf(layout: HeadLayout, node: number): number | undefined {
  for (const { parent, start, end } of layout.groups)
    if (layout.activation === 'sigmoid' || parent !== node)
      for (let unit = start; unit < end; unit++) if (layout.unitNodes[unit] === node) return unit
  return undefined
}

/** Ways to a node from the root, as steps through softmax groups: down the groups, or the units at or below it in the root's group. */
function softmaxChains(layout: HeadLayout, tree: LabelTree): (node: number) => Step[][] {
  const groups = pathGroups(layout)
  const chainsTo = (node: number): Step[][] =>
    groups.flatMap(({ parent, start, end }) => {
      if (parent === node) return []
      const units = Array.from({ length: end - start }, (_, i) => start + i)
      const isIn = (unit: number) =>
        layout.unitNodes[unit] === node || (parent < 0 && tree.ancestors(layout.unitNodes[unit]!).includes(node))
      const inside = units.filter(isIn)
      if (inside.length === 0) return []
      const step = { start, end, inside: new Set(inside) }
      return parent < 0 ? [[step]] : chainsTo(parent).map((chain) => [...chain, step])
    })
  return (node) => chainsTo(node)
}

/** The one way that decides a sigmoid node's probability: through its least probable parents, or its most probable descendant. */
function sigmoidChains(layout: HeadLayout, tree: LabelTree): (node: number, z: Float64Array) => Step[][] {
  const stepOf = (unit: number): Step => ({ start: unit, end: unit + 1, inside: new Set([unit]) })
  const unitByNode = new Map(Array.from(layout.unitNodes, (node, unit) => [node, unit]))
  if (layout.groups.some(({ parent }) => parent >= 0)) {
    const sum = (chain: readonly Step[], z: Float64Array) =>
      chain.reduce((total, { start }) => total - softplus(-z[start]!), 0)
    const chainTo = (node: number, z: Float64Array): Step[] => {
      const ways = tree.nodes[node]!.parents.map((parent) => chainTo(parent, z))
      const least = ways.reduce<Step[]>((a, b) => (a.length > 0 && sum(a, z) <= sum(b, z) ? a : b), [])
      return [...least, stepOf(unitByNode.get(node)!)]
    }
    return (node, z) => [chainTo(node, z)]
  }
  return (node, z) => {
    const units = [...unitByNode].flatMap(([own, unit]) =>
      own === node || tree.ancestors(own).includes(node) ? [unit] : [],
    )
    return [[stepOf(units.reduce((best, unit) => (z[unit]! > z[best]! ? unit : best)))]]
  }
}

function softmaxPair(z: Float64Array, { start, end, inside }: Step): LogPair {
  const yes: number[] = []
  const no: number[] = []
  for (let unit = start; unit < end; unit++) (inside.has(unit) ? yes : no).push(z[unit]!)
  const logYes = logSumExp(yes)
  const logNo = logSumExp(no)
  const all = logSumExp([logYes, logNo])
  return { yes: logYes - all, no: logNo - all }
}

const sigmoidPair = (z: Float64Array, { start }: Step): LogPair => ({
  yes: -softplus(-z[start]!),
  no: -softplus(z[start]!),
})

/** d log p / dz is the softmax inside minus the softmax of all; d log(1 - p) / dz that of the rest minus that of all. */
function addSoftmax(
  z: Float64Array,
  { start, end, inside }: Step,
  target: Float64Array,
  byYes: number,
  byNo: number,
): void {
  const units = Array.from({ length: end - start }, (_, i) => start + i)
  const logYes = logSumExp(units.filter((unit) => inside.has(unit)).map((unit) => z[unit]!))
  const logNo = logSumExp(units.filter((unit) => !inside.has(unit)).map((unit) => z[unit]!))
  const all = logSumExp([logYes, logNo])
  for (const unit of units) {
    const own = inside.has(unit) ? byYes * weight(z[unit]!, logYes) : byNo * weight(z[unit]!, logNo)
    target[unit]! += own - (byYes + byNo) * weight(z[unit]!, all)
  }
}

function addSigmoid(z: Float64Array, { start }: Step, target: Float64Array, byYes: number, byNo: number): void {
  const probability = Math.exp(-softplus(-z[start]!))
  target[start]! += byYes * (1 - probability) - byNo * probability
}
