/** What each strategy would cost for one text, before anything is spent: calls, and tokens counted as the prompts are built. */
import type { LabelTree } from '../../labels/label-tree.ts'
import type { ExampleBank } from './example-bank.ts'
import { askForLabel, type Offer } from './prompt.ts'
import { leafOffers, pathOffers, type Strategy, stepOffers } from './strategies.ts'
import { estimateTokens, priceOf, type TokenPrices } from './token-ledger.ts'

export interface CallPlan {
  readonly strategy: Strategy
  /** Per text, on average over the labels for `top-down`. */
  readonly calls: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Of a text, in the prices' currency. */
  readonly price: number
}

export interface CallPlanInput {
  readonly tree: LabelTree
  readonly ends: readonly number[]
  readonly bank: ExampleBank
  /** Tokens of an average text. */
  readonly textTokens: number
  /** Candidates of `retrieve`. */
  readonly candidates: number
  readonly prices: TokenPrices
}

interface Cost {
  calls: number
  inputTokens: number
  outputTokens: number
}

/** The cost of one call that offers these labels. */
function callCost(offers: readonly Offer[], paths: boolean, { bank, textTokens }: CallPlanInput): Cost {
  const examples = offers.flatMap(({ node, label }) => (bank[node] ?? []).map((text) => ({ text, label })))
  const { system, user } = askForLabel({ text: '', offers, examples, paths })
  const answers = offers.reduce((sum, { label }) => sum + estimateTokens(label), 0)
  return {
    calls: 1,
    inputTokens: estimateTokens(system) + estimateTokens(user) + textTokens,
    outputTokens: answers / Math.max(1, offers.length),
  }
}

/** The plans of all strategies, in the order of `strategies`. */
export function planCalls(input: CallPlanInput): CallPlan[] {
  const { tree, ends, candidates, prices } = input
  const leaves = leafOffers(tree, ends)
  const whole = callCost(leaves, false, input)
  const share = Math.min(1, candidates / ends.length)
  const empty = callCost([], false, input)
  const costs: [Strategy, Cost][] = [
    ['direct-leaf', whole],
    ['direct-hierarchical', callCost(pathOffers(tree, ends), true, input)],
    ['top-down', topDownCost(input)],
    ['retrieve', { ...whole, inputTokens: empty.inputTokens + share * (whole.inputTokens - empty.inputTokens) }],
  ]
  return costs.map(([strategy, cost]) => ({ strategy, ...cost, price: priceOf(cost, prices) }))
}

/** The mean over the ends of the calls on the way to each. */
function topDownCost(input: CallPlanInput): Cost {
  const { tree, ends } = input
  const isEnd = new Set(ends)
  const steps = new Map<number | undefined, Cost>()
  const stepCost = (node: number | undefined): Cost => {
    const known = steps.get(node)
    if (known) return known
    const offers = stepOffers(tree, node, isEnd)
    const cost = offers.length > 1 ? callCost(offers, false, input) : { calls: 0, inputTokens: 0, outputTokens: 0 }
    steps.set(node, cost)
    return cost
  }
  const sum: Cost = { calls: 0, inputTokens: 0, outputTokens: 0 }
  for (const end of ends) {
    const path = tree.pathIds(end)
    const inner = tree.nodes[end]!.children.length > 0
    for (const node of [undefined, ...(inner ? path : path.slice(0, -1))]) {
      const cost = stepCost(node)
      sum.calls += cost.calls / ends.length
      sum.inputTokens += cost.inputTokens / ends.length
      sum.outputTokens += cost.outputTokens / ends.length
    }
  }
  return sum
}
