/**
 * How a chat model is led to a label: one call with all leaves, one call with all paths, one call for each level, or one call with the candidates that a
 * local model ranks first (the three strategies compared for black-box models in hierarchical classification, and retrieval before them).
 */
import type { LabelTree } from '../../labels/label-tree.ts'
import { permutation, type Random } from '../../tensor/random.ts'
import type { Offer } from './prompt.ts'
import { pathMark } from './prompt.ts'

export const strategies = ['direct-leaf', 'direct-hierarchical', 'top-down', 'retrieve'] as const
export type Strategy = (typeof strategies)[number]

/** Asks for one of the offers; undefined if the reply names none. `paths`: labels are whole paths. */
export type Ask = (offers: readonly Offer[], paths: boolean) => Promise<Offer | undefined>

export interface StrategyInput {
  readonly tree: LabelTree
  /** Nodes where an answer may end. */
  readonly ends: readonly number[]
  readonly ask: Ask
  /** Set by `retrieve`: the candidates for this text, best first. */
  readonly candidates?: readonly number[]
  /** `top-down` offers "none of these" below the first level, which leads back a level. Default false. */
  readonly goBack?: boolean
  /** Orders the options of each call; undefined: as the tree has them. */
  readonly order?: Random
}

/** The node chosen for a text; undefined if no reply could be read. */
export function choose(strategy: Strategy, input: StrategyInput): Promise<number | undefined> {
  const { tree, ends, candidates } = input
  if (strategy === 'top-down') return topDown(input)
  const hierarchical = strategy === 'direct-hierarchical'
  const nodes = strategy === 'retrieve' ? candidates! : ends
  return pick(hierarchical ? pathOffers(tree, nodes) : leafOffers(tree, nodes), hierarchical, input)
}

/** Options named by the leaf alone, or by the whole path where two leaves have one name. */
export function leafOffers(tree: LabelTree, nodes: readonly number[]): Offer[] {
  const times = new Map<string, number>()
  const nameOf = (node: number) => readable(tree, node)
  for (const node of nodes) times.set(nameOf(node), (times.get(nameOf(node)) ?? 0) + 1)
  return nodes.map((node) => ({ node, label: times.get(nameOf(node)) === 1 ? nameOf(node) : pathOf(tree, node) }))
}

export const pathOffers = (tree: LabelTree, nodes: readonly number[]): Offer[] =>
  nodes.map((node) => ({ node, label: pathOf(tree, node) }))

/** A step of `top-down`: the children of the node, and the node itself where an answer may end there. */
export function stepOffers(tree: LabelTree, node: number | undefined, ends: ReadonlySet<number>): Offer[] {
  const children = node === undefined ? tree.roots : tree.nodes[node]!.children
  const offers = leafOffers(tree, children)
  return node !== undefined && ends.has(node) && children.length > 0
    ? [...offers, { node, label: `${readable(tree, node)} (in general)` }]
    : offers
}

async function topDown(input: StrategyInput): Promise<number | undefined> {
  const { tree, goBack = false } = input
  const ends = new Set(input.ends)
  const path: number[] = []
  const left = new Set<number>()
  for (;;) {
    const node = path.at(-1)
    const children = stepOffers(tree, node, ends)
    if (children.length === 0) return node
    const offers = children.filter((offer) => !left.has(offer.node))
    if (offers.length === 0) {
      if (node === undefined) return undefined
      left.add(path.pop()!)
      continue
    }
    const asked = goBack && node !== undefined ? [...offers, { node: noneOfThese, label: 'none of these' }] : offers
    const next = asked.length === 1 ? asked[0]!.node : await pick(asked, false, input)
    if (next === undefined || next === node) return next
    if (next === noneOfThese) left.add(path.pop()!)
    else path.push(next)
  }
}

/** Stands for no node of the tree. */
const noneOfThese = -1

async function pick(offers: Offer[], paths: boolean, { ask, order }: StrategyInput): Promise<number | undefined> {
  const shown = order ? Array.from(permutation(offers.length, order), (i) => offers[i]!) : offers
  return (await ask(shown, paths))?.node
}

function readable(tree: LabelTree, node: number): string {
  const { name, title } = tree.nodes[node]!
  return title ?? name
}

const pathOf = (tree: LabelTree, node: number): string =>
  tree
    .pathIds(node)
    .map((id) => readable(tree, id))
    .join(pathMark)
