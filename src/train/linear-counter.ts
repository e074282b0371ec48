/** Counts in how many texts each n-gram occurs, in bounded memory, and then looks the chosen ones up. */
import { dampedCounts } from '../text/ngram-featurizer.ts'
import type { NgramHasher } from '../text/ngram-hasher.ts'

export class NgramCounter {
  readonly hasher: NgramHasher
  /** Rare n-grams had to be dropped for want of room: what is left has been counted short. */
  pruned = false
  #capacity = 0
  #size = 0
  #table = 0
  #entries = 0
  #frequencies = 0
  #used = 0

  readonly #maxCandidates: number

  /** @param maxCandidates distinct n-grams held at most, a power of two; beyond, those seen once are dropped and counting goes on. */
  constructor(hasher: NgramHasher, maxCandidates: number) {
    this.hasher = hasher
    this.#maxCandidates = maxCandidates
    this.#grow(Math.min(2 ** 17, maxCandidates))
  }

  add(text: string): void {
    const { kernels } = this.hasher
    const found = this.hasher.hash(text)
    while (this.#used + found > this.#capacity) this.#makeRoom()
    this.#used = kernels.enter(
      found,
      this.hasher.scratch.hashes,
      this.#table,
      this.#size,
      this.#used,
      this.#entries,
      this.#frequencies,
    ) // prettier-ignore
  }

  /** The n-grams of at least `minTexts` texts, the `limit` most frequent ones, in order of first occurrence. */
  most(minTexts: number, limit: number): { hashes: Uint32Array; frequencies: Uint32Array } {
    const { arena } = this.hasher
    const hashes = arena.u32(this.#entries, this.#used)
    const frequencies = arena.u32(this.#frequencies, this.#used)
    let least = minTexts
    let kept = 0
    for (; ; least++) {
      kept = 0
      for (const frequency of frequencies) if (frequency >= least) kept++
      if (kept <= limit) break
    }
    const result = { hashes: new Uint32Array(kept), frequencies: new Uint32Array(kept) }
    kept = 0
    for (let i = 0; i < this.#used; i++) {
      if (frequencies[i]! < least) continue
      result.hashes[kept] = hashes[i]!
      result.frequencies[kept++] = frequencies[i]!
    }
    return result
  }

  /** Replaces the counts by a vocabulary; the returned function leaves a text's known n-grams in the scratch memory and returns their number. */
  lookup(hashes: Uint32Array): (text: string) => number {
    const { hasher } = this
    const { arena, kernels } = hasher
    arena.u32(this.#entries, hashes.length).set(hashes)
    arena.u32(this.#table, this.#size * 2).fill(0)
    kernels.index(this.#entries, hashes.length, this.#table, this.#size)
    const damped = arena.allocate(dampedCounts.byteLength)
    arena.f32(damped, dampedCounts.length).set(dampedCounts)
    return (text) => {
      const found = hasher.hash(text)
      const { hashes, counts, columns, kinds, values } = hasher.scratch
      return kernels.known(found, hashes, counts, this.#table, this.#size, damped, columns, kinds, values)
    }
  }

  #makeRoom(): void {
    if (this.#capacity < this.#maxCandidates) {
      this.#grow(this.#capacity * 2)
      return
    }
    this.pruned = true
    const { hashes, frequencies } = this.most(2, this.#maxCandidates / 2)
    const { arena, kernels } = this.hasher
    arena.u32(this.#table, this.#size * 2).fill(0)
    arena.u32(this.#entries, hashes.length).set(hashes)
    arena.u32(this.#frequencies, hashes.length).set(frequencies)
    this.#used = hashes.length
    kernels.index(this.#entries, this.#used, this.#table, this.#size)
  }

  #grow(capacity: number): void {
    const { arena, kernels } = this.hasher
    const old = { entries: this.#entries, frequencies: this.#frequencies }
    this.#capacity = capacity
    this.#size = capacity * 2
    this.#entries = arena.allocate(capacity * 4)
    this.#frequencies = arena.allocate(capacity * 4)
    this.#table = arena.allocate(this.#size * 8)
    if (this.#used === 0) return
    arena.u8(0, arena.used).copyWithin(this.#entries, old.entries, old.entries + this.#used * 4)
    arena.u8(0, arena.used).copyWithin(this.#frequencies, old.frequencies, old.frequencies + this.#used * 4)
    kernels.index(this.#entries, this.#used, this.#table, this.#size)
  }
}
