/** Texts to sparse feature vectors with a trained vocabulary: damped counts times the features' weights, words and characters each of length one. */
import type { Arena } from '../tensor/kernels/arena.ts'
import { NgramHasher, type NgramOptions } from './ngram-hasher.ts'

/** What a count becomes: 1 + ln count. Counts of 255 and more are one. */
export const dampedCounts: Float32Array = Float32Array.from({ length: 256 }, (_, count) =>
  count === 0 ? 0 : 1 + Math.log(count),
)

export class NgramFeaturizer {
  readonly hasher: NgramHasher
  readonly #weights: number
  readonly #vocabulary: number
  readonly #size: number
  readonly #damped: number

  private constructor(hasher: NgramHasher, hashes: Uint32Array, weights: Float32Array) {
    this.hasher = hasher
    const { arena, kernels } = hasher
    this.#size = 2 ** Math.ceil(Math.log2(hashes.length * 2 + 2))
    this.#vocabulary = arena.allocate(this.#size * 8)
    this.#weights = arena.allocate(weights.byteLength)
    this.#damped = arena.allocate(dampedCounts.byteLength)
    const entries = arena.allocate(hashes.byteLength)
    arena.u32(entries, hashes.length).set(hashes)
    arena.f32(this.#weights, weights.length).set(weights)
    arena.f32(this.#damped, dampedCounts.length).set(dampedCounts)
    kernels.index(entries, hashes.length, this.#vocabulary, this.#size)
  }

  /** @param hashes hash of each feature. @param weights what its damped count is multiplied by. */
  static async create(
    arena: Arena,
    options: NgramOptions,
    hashes: Uint32Array,
    weights: Float32Array,
  ): Promise<NgramFeaturizer> {
    return new NgramFeaturizer(await NgramHasher.create(arena, options), hashes, weights)
  }

  /** Leaves the columns and values of the text's features in `hasher.scratch`; returns their number. */
  features(text: string): number {
    const { hasher } = this
    const found = hasher.hash(text)
    const { hashes, counts, columns, kinds, values } = hasher.scratch
    const kept = hasher.kernels.known(
      found,
      hashes,
      counts,
      this.#vocabulary,
      this.#size,
      this.#damped,
      columns,
      kinds,
      values,
    ) // prettier-ignore
    hasher.kernels.weigh(kept, columns, kinds, values, this.#weights)
    return kept
  }
}
