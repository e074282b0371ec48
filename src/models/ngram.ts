/**
 * The `ngram` model: a linear classifier on hashed word and character n-grams. It needs no native runtime and no download, and runs in browsers:
 * this file imports nothing of Node; `load` and `save` bring what they need.
 */

import { readSafetensorsBytes } from '../checkpoint/safetensors-bytes.ts'
import { Arena } from '../tensor/kernels/arena.ts'
import { loadKernels } from '../tensor/kernels/load.ts'
import { NgramFeaturizer } from '../text/ngram-featurizer.ts'
import type { NgramOptions } from '../text/ngram-hasher.ts'
import { originalSpans } from '../text/ngram-text.ts'
import { InputError } from '../util/errors.ts'
import { type NamedTensor, type NgramParts, ngramConfig, ngramTensors, readNgramParts } from './ngram-parts.ts'

type ScoreKernel = (
  kept: number,
  columns: number,
  values: number,
  offsets: number,
  problems: number,
  weights: number,
  scores: number,
) => void // prettier-ignore

/** How much one n-gram of a text adds to a unit's logit. */
export interface NgramContribution {
  /** Where it first stands in the text, in UTF-16 units. */
  readonly start: number
  readonly end: number
  /** The n-gram as it stands there. */
  readonly text: string
  readonly kind: 'word' | 'characters'
  readonly value: number
  /** Finds all its places, see `ngramPlaces`. */
  readonly hash: number
}

export class NgramModel {
  readonly units: number
  /** Number of stored weights. */
  readonly parameters: number
  readonly #parts: NgramParts
  readonly #featurizer: NgramFeaturizer
  readonly #score: ScoreKernel
  readonly #offsets: number
  readonly #problems: number
  readonly #weights: number
  readonly #scores: number

  private constructor(parts: NgramParts, featurizer: NgramFeaturizer, score: ScoreKernel) {
    const { arena } = featurizer.hasher
    this.units = parts.unitOffsets.length - 1
    this.parameters = parts.weights.length
    this.#parts = parts
    this.#featurizer = featurizer
    this.#score = score
    this.#offsets = arena.allocate(parts.offsets.byteLength)
    this.#problems = arena.allocate(parts.problems.byteLength)
    this.#weights = arena.allocate(parts.weights.byteLength)
    this.#scores = arena.allocate(parts.scales.byteLength)
    arena.u32(this.#offsets, parts.offsets.length).set(parts.offsets)
    const { problems } = parts
    arena
      .u8(this.#problems, problems.byteLength)
      .set(new Uint8Array(problems.buffer, problems.byteOffset, problems.byteLength))
    arena.i8(this.#weights, parts.weights.length).set(parts.weights)
  }

  /** A model from its arrays. */
  static async fromParts(parts: NgramParts): Promise<NgramModel> {
    const arena = new Arena()
    const featurizer = await NgramFeaturizer.create(arena, parts.ngrams, parts.hashes, parts.featureWeights)
    const kernels = await loadKernels<{ score8: ScoreKernel; score16: ScoreKernel; score32: ScoreKernel }>(
      'sparse-score',
      arena.memory,
    ) // prettier-ignore
    const width = parts.problems.BYTES_PER_ELEMENT
    return new NgramModel(
      parts,
      featurizer,
      width === 1 ? kernels.score8 : width === 2 ? kernels.score16 : kernels.score32,
    )
  }

  /**
   * A model from the contents of its two files, without a file system: `config` is config.json parsed, `safetensors` the bytes of model.safetensors.
   * @throws InputError `NGRAM_CONFIG`, `NGRAM_TENSORS`, `SAFETENSORS_...`.
   * @example
   * const [config, file] = await Promise.all([fetch('model/config.json'), fetch('model/model.safetensors')])
   * const model = await NgramModel.fromBytes(await config.json(), new Uint8Array(await file.arrayBuffer()))
   */
  static async fromBytes(config: Record<string, unknown>, safetensors: Uint8Array): Promise<NgramModel> {
    const folder = 'model.safetensors'
    return NgramModel.fromParts(await readNgramParts({ folder, config, ...readSafetensorsBytes(safetensors, folder) }))
  }

  /** What its two files hold: config.json, and the tensors of model.safetensors. */
  files(): { config: Record<string, unknown>; tensors: NamedTensor[] } {
    return { config: ngramConfig(this.#parts), tensors: ngramTensors(this.#parts) }
  }

  /** The same model with `by[unit]` added to every logit of a unit. */
  shifted(by: Float32Array): Promise<NgramModel> {
    const unitShifts = this.#parts.unitShifts.map((shift, unit) => shift + by[unit]!)
    return NgramModel.fromParts({ ...this.#parts, unitShifts })
  }

  get ngrams(): NgramOptions {
    return this.#parts.ngrams
  }

  /**
   * Logits of every unit, [texts x units]: a softmax over a softmax group, or a sigmoid of each unit, is a probability.
   * @example
   * const logits = model.score(['what is the capital of peru ?'])
   */
  score(texts: readonly string[]): Float32Array {
    const { units } = this
    const logits = new Float32Array(texts.length * units)
    for (const [row, text] of texts.entries()) this.#scoreInto(text, logits, row * units)
    return logits
  }

  #scoreInto(text: string, logits: Float32Array, at: number): void {
    const { scales, biases, unitOffsets, unitProblems, unitFactors, unitShifts } = this.#parts
    const { arena } = this.#featurizer.hasher
    const kept = this.#featurizer.features(text)
    const { columns, values } = this.#featurizer.hasher.scratch
    const scores = arena.f32(this.#scores, scales.length)
    scores.fill(0)
    this.#score(kept, columns, values, this.#offsets, this.#problems, this.#weights, this.#scores)
    for (let problem = 0; problem < scales.length; problem++)
      scores[problem] = scores[problem]! * scales[problem]! + biases[problem]!
    for (let unit = 0; unit < this.units; unit++) {
      let sum = unitShifts[unit]!
      for (let i = unitOffsets[unit]!; i < unitOffsets[unit + 1]!; i++)
        sum += unitFactors[i]! * scores[unitProblems[i]!]!
      logits[at + unit] = sum
    }
  }

  /** The text's features: their columns and values, words and characters each of length one. A copy. */
  features(text: string): { columns: Uint32Array; values: Float32Array } {
    const { arena } = this.#featurizer.hasher
    const kept = this.#featurizer.features(text)
    const { columns, values } = this.#featurizer.hasher.scratch
    return { columns: arena.u32(columns, kept).slice(), values: arena.f32(values, kept).slice() }
  }

  /**
   * What each n-gram of the text adds to a unit's logit, the largest first. Exact: with the unit's score of an empty text they sum to its logit.
   * @throws InputError `UNIT` for a unit that the model does not have.
   */
  contributions(text: string, unit: number): NgramContribution[] {
    if (!(Number.isInteger(unit) && unit >= 0 && unit < this.units))
      throw new InputError('UNIT', `Expected a unit from 0 to ${this.units - 1}, received ${unit}`)
    const weights = new Float64Array(this.units)
    weights[unit] = 1
    return this.weightedContributions(text, weights)
  }

  /** What each n-gram of the text adds to the sum of the units' logits times `unitWeights`, [units]; the largest first. */
  weightedContributions(text: string, unitWeights: Float64Array): NgramContribution[] {
    const { scales, unitOffsets, unitProblems, unitFactors, offsets, problems, weights } = this.#parts
    const factors = new Float64Array(scales.length)
    for (let unit = 0; unit < this.units; unit++)
      for (let i = unitOffsets[unit]!; i < unitOffsets[unit + 1]!; i++)
        factors[unitProblems[i]!]! += unitWeights[unit]! * unitFactors[i]! * scales[unitProblems[i]!]!
    const { arena } = this.#featurizer.hasher
    const kept = this.#featurizer.features(text)
    const { columns, values, kinds, hashes, starts, ends } = this.#featurizer.hasher.scratch
    const at = (address: number, i: number) => arena.u32(address, i + 1)[i]!
    const spans = originalSpans(text)
    const found: NgramContribution[] = []
    for (let i = 0; i < kept; i++) {
      const column = at(columns, i)
      let weight = 0
      for (let k = offsets[column]!; k < offsets[column + 1]!; k++) weight += weights[k]! * factors[problems[k]!]!
      if (weight === 0) continue
      const place = at(hashes, i)
      const start = spans[at(starts, place)]?.start ?? text.length
      const end = Math.max(start, spans[at(ends, place) - 1]?.end ?? start)
      found.push({
        start,
        end,
        text: text.slice(start, end),
        kind: arena.u8(kinds, i + 1)[i] === 1 ? 'characters' : 'word',
        value: weight * arena.f32(values, i + 1)[i]!,
        hash: this.#parts.hashes[column]!,
      })
    }
    return found.sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
  }
}
