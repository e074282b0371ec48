/** Beam search through a tree of rankers. A path's score is the sum of -max(0, 1 - margin)^3 over its steps: the log of PECOS's "l3-hinge" product. */
import { addChunk } from './xr-chunk.ts'
import type { XrParts } from './xr-linear.ts'
import { nodeCount } from './xr-tree.ts'

/** The best of many, in ascending order of insertion where scores are equal. Best first. */
class Best {
  readonly items: Uint32Array
  readonly scores: Float32Array
  size = 0

  constructor(capacity: number) {
    this.items = new Uint32Array(capacity)
    this.scores = new Float32Array(capacity)
  }

  add(item: number, score: number, limit: number): void {
    let at = this.size
    if (at === limit) {
      if (!(score > this.scores[at - 1]!)) return
      at--
    } else this.size++
    const { items, scores } = this
    while (at > 0 && scores[at - 1]! < score) {
      items[at] = items[at - 1]!
      scores[at] = scores[at - 1]!
      at--
    }
    items[at] = item
    scores[at] = score
  }
}

export class RankSearch {
  readonly #parts: Pick<XrParts, 'tree' | 'scales' | 'biases' | 'chunks'>
  #sums = new Float32Array(256)
  #open = new Best(0)
  #next = new Best(0)
  #found = new Best(0)

  constructor(parts: Pick<XrParts, 'tree' | 'scales' | 'biases' | 'chunks'>) {
    this.#parts = parts
  }

  /** Leaves the `k` best units and their scores in `units` and `scores` from `at` on; returns how many there are. */
  run(
    count: number,
    columns: Uint32Array,
    values: Float32Array,
    k: number,
    beam: number,
    units: Uint32Array,
    scores: Float32Array,
    at: number,
  ): number {
    if (this.#open.items.length < beam) {
      this.#open = new Best(beam)
      this.#next = new Best(beam)
    }
    if (this.#found.items.length < k) this.#found = new Best(k)
    const found = this.#found
    found.size = 0
    this.#open.size = 0
    this.#open.add(0, 0, beam)
    const nodes = nodeCount(this.#parts.tree)
    while (this.#open.size > 0) {
      const next = this.#next
      next.size = 0
      for (let i = 0; i < this.#open.size; i++) {
        this.expand(this.#open.items[i]!, this.#open.scores[i]!, count, columns, values, (target, score) => {
          if (target < nodes) next.add(target, score, beam)
          else found.add(target - nodes, score, k)
        })
      }
      this.#next = this.#open
      this.#open = next
    }
    units.set(found.items.subarray(0, found.size), at)
    scores.set(found.scores.subarray(0, found.size), at)
    return found.size
  }

  /** The nodes of a level that a search keeps, best first; for training, while the levels below are still missing. */
  nodesAt(level: number, count: number, columns: Uint32Array, values: Float32Array, beam: number): Uint32Array {
    let open = Uint32Array.of(0)
    let above = Float32Array.of(0)
    const nodes = nodeCount(this.#parts.tree)
    for (let at = 0; at < level; at++) {
      const next = new Best(beam)
      for (const [i, node] of open.entries())
        this.expand(node, above[i]!, count, columns, values, (target, score) => {
          if (target < nodes) next.add(target, score, beam)
        })
      open = next.items.slice(0, next.size)
      above = next.scores.slice(0, next.size)
    }
    return open
  }

  /** Hands every child of a node, with the score of the path to it, to `use`. */
  expand(
    node: number,
    above: number,
    count: number,
    columns: Uint32Array,
    values: Float32Array,
    use: (target: number, score: number) => void,
  ): void {
    const { tree, scales, biases, chunks } = this.#parts
    const first = tree.childStart[node]!
    const children = tree.childStart[node + 1]! - first
    if (this.#sums.length < children) this.#sums = new Float32Array(children)
    const sums = this.#sums
    sums.fill(0, 0, children)
    addChunk(chunks.chunk(node), count, columns, values, sums)
    for (let child = 0; child < children; child++) {
      const miss = 1 - sums[child]! * scales[first + child]! - biases[first + child]!
      use(tree.targets[first + child]!, miss > 0 ? above - miss * miss * miss : above)
    }
  }
}
