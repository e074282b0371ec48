/**
 * Byte-pair merges from word counts (Sennrich, Haddow and Birch, 2016): the most frequent pair of neighbouring symbols becomes a symbol,
 * again and again. Pair counts are kept up to date word by word, so the cost follows the words that change, not the size of the text.
 */

export interface Merge {
  left: string
  right: string
  merged: string
}

export interface MergeOptions {
  /** Stop when this many symbols exist. */
  maxSymbols: number
  /** Stop when no pair occurs this often. */
  minFrequency: number
  /** The name of the symbol made of two. */
  join(left: string, right: string): string
}

/** Pairs of symbol numbers as one number; symbols stay far below 2^26. */
const pairOf = (left: number, right: number): number => left * 67108864 + right

/**
 * Learns merges from words, each a list of symbols with its count. Ties go to the pair whose symbols came first, so equal input gives equal
 * output. Returns the merges in order; `symbols` is extended by the new ones.
 */
export function learnMerges(words: Iterable<[string[], number]>, symbols: string[], options: MergeOptions): Merge[] {
  const idOf = new Map(symbols.map((symbol, id) => [symbol, id]))
  const sequences: number[][] = []
  const counts: number[] = []
  for (const [word, count] of words) {
    sequences.push(word.map((symbol) => idOf.get(symbol)!))
    counts.push(count)
  }
  const pairCounts = new Map<number, number>()
  const pairWords = new Map<number, number[]>()
  const addPairs = (index: number, sign: 1 | -1, touched?: Set<number>) => {
    const sequence = sequences[index]!
    for (let i = 0; i + 1 < sequence.length; i++) {
      const pair = pairOf(sequence[i]!, sequence[i + 1]!)
      pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + sign * counts[index]!)
      if (sign < 0) continue
      touched?.add(pair)
      const list = pairWords.get(pair)
      if (!list) pairWords.set(pair, [index])
      else if (list.at(-1) !== index) list.push(index)
    }
  }
  for (let index = 0; index < sequences.length; index++) addPairs(index, 1)

  const queue = new PairQueue()
  for (const [pair, count] of pairCounts) queue.push(pair, count)
  const merges: Merge[] = []
  const seen = new Int32Array(sequences.length).fill(-1)
  while (symbols.length < options.maxSymbols) {
    const top = queue.pop()
    if (!top || top.count < options.minFrequency) break
    const current = pairCounts.get(top.pair) ?? 0
    if (current !== top.count) {
      if (current > 0) queue.push(top.pair, current) // the entry was stale: back into the queue with its true count
      continue
    }
    const left = Math.floor(top.pair / 67108864)
    const right = top.pair % 67108864
    const merged = options.join(symbols[left]!, symbols[right]!)
    let id = idOf.get(merged)
    if (id === undefined) {
      id = symbols.push(merged) - 1
      idOf.set(merged, id)
    }
    merges.push({ left: symbols[left]!, right: symbols[right]!, merged })
    const touched = new Set<number>()
    for (const index of pairWords.get(top.pair)!) {
      if (seen[index] === merges.length) continue
      seen[index] = merges.length
      const replaced = replacePair(sequences[index]!, left, right, id)
      if (!replaced) continue
      addPairs(index, -1)
      sequences[index] = replaced
      addPairs(index, 1, touched)
    }
    pairWords.delete(top.pair)
    pairCounts.delete(top.pair)
    for (const pair of touched) if (pair !== top.pair) queue.push(pair, pairCounts.get(pair)!)
  }
  return merges
}

/** The sequence with every pair replaced from left to right, or undefined if it holds none. */
function replacePair(sequence: number[], left: number, right: number, id: number): number[] | undefined {
  const result: number[] = []
  for (let i = 0; i < sequence.length; i++) {
    if (sequence[i] === left && sequence[i + 1] === right) {
      result.push(id)
      i++
    } else result.push(sequence[i]!)
  }
  return result.length < sequence.length ? result : undefined
}

/** A binary heap: the largest count first, then the smallest pair. */
class PairQueue {
  private readonly pairs: number[] = []
  private readonly counts: number[] = []

  private before(i: number, j: number): boolean {
    const difference = this.counts[i]! - this.counts[j]!
    return difference > 0 || (difference === 0 && this.pairs[i]! < this.pairs[j]!)
  }

  private swap(i: number, j: number): void {
    const { pairs, counts } = this
    ;[pairs[i], pairs[j]] = [pairs[j]!, pairs[i]!]
    ;[counts[i], counts[j]] = [counts[j]!, counts[i]!]
  }

  push(pair: number, count: number): void {
    let at = this.pairs.push(pair) - 1
    this.counts.push(count)
    while (at > 0 && this.before(at, (at - 1) >> 1)) {
      this.swap(at, (at - 1) >> 1)
      at = (at - 1) >> 1
    }
  }

  pop(): { pair: number; count: number } | undefined {
    const last = this.pairs.length - 1
    if (last < 0) return undefined
    this.swap(0, last)
    const top = { pair: this.pairs.pop()!, count: this.counts.pop()! }
    for (let at = 0; ; ) {
      let best = at
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < last && this.before(child, best)) best = child
      if (best === at) return top
      this.swap(at, best)
      at = best
    }
  }
}
