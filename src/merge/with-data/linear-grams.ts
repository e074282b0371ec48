/**
 * Gram matrices of what each linear map of an encoder is given: X^T X over the tokens of some texts, the statistics of RegMean (Jin et al., 2023).
 * Batches are multiplied in the graph and added up in double precision, so memory does not grow with the texts.
 */
import { compile, Graph, matmul, mul, reshape, type Session, type Tensor } from '../../graph/index.ts'
import type { EncoderGraph, EncoderModel } from '../../models/index.ts'
import { encoderThreads } from '../../models/threads.ts'
import { type Matrix, matrix } from '../../tensor/linear-algebra/index.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { batchesOf, batchFeeds, boundWeights } from './batches.ts'
import type { Weights } from './specialists.ts'

/** The statistics of one linear map's inputs. */
export interface Gram {
  /** Sum of the products of inputs, in x in. */
  readonly sum: Matrix
  /** Inputs counted. */
  readonly count: number
}

/** The input of every linear map, by the name of its weight, found on the way back from what the classifier reads. */
export function linearInputs({ pooled, logits, parameters }: EncoderGraph): Map<string, Tensor> {
  const weights = new Map([...parameters].map(([name, tensor]) => [tensor, name]))
  const found = new Map<string, Tensor>()
  const seen = new Set<Tensor>()
  const open = [logits ?? pooled]
  for (let tensor = open.pop(); tensor; tensor = open.pop()) {
    if (seen.has(tensor)) continue
    seen.add(tensor)
    const inputs = tensor.origin?.inputs ?? []
    const [x, weight] = inputs
    const name = weight && weight.rank === 2 && x?.rank === 2 ? weights.get(weight) : undefined
    if (name !== undefined) found.set(name, x!)
    for (const input of inputs) if (input) open.push(input)
  }
  return found
}

/** Collects the Gram matrices of some linear maps of a model, for any weights of its shape. */
export class GramCollector {
  readonly #model: EncoderModel
  readonly #session: Session
  /** The maps that share one input, and with it one matrix. */
  readonly #maps: readonly (readonly string[])[]
  readonly #sizes: readonly number[]
  /** Whether a map sees the first token of each text alone. */
  readonly #first: readonly boolean[]

  private constructor(
    model: EncoderModel,
    session: Session,
    inputs: readonly { names: string[]; size: number; first: boolean }[],
  ) {
    this.#model = model
    this.#session = session
    this.#maps = inputs.map(({ names }) => names)
    this.#sizes = inputs.map(({ size }) => size)
    this.#first = inputs.map(({ first }) => first)
  }

  /** @param wanted chooses maps by the names of their weights; what only others need is not computed. */
  static async open(
    model: EncoderModel,
    wanted: (weight: string) => boolean,
    options: RunOptions & { threads: number },
  ): Promise<GramCollector> {
    const graph = new Graph()
    const built = model.build(graph)
    const groups = new Map<Tensor, string[]>()
    for (const [name, x] of linearInputs(built)) if (wanted(name)) groups.set(x, [...(groups.get(x) ?? []), name])
    const outputs: Record<string, Tensor> = {}
    const inputs: { names: string[]; size: number; first: boolean }[] = []
    for (const [x, names] of groups) {
      const first = x.shape[0] === 'B'
      const kept = first ? x : mul(x, reshape(built.mask, ['B*S', 1]))
      outputs[`gram ${inputs.length}`] = matmul(kept, x, { transA: true })
      inputs.push({ names, size: x.shape[1] as number, first })
    }
    const threads = encoderThreads(model.config, options.threads)
    return new GramCollector(model, await compile(graph, outputs, { ...options, threads }), inputs)
  }

  /** By weight; maps with one input share one object. */
  async collect(
    weights: Weights,
    texts: readonly Int32Array[],
    { signal }: RunOptions = {},
  ): Promise<Map<string, Gram>> {
    const sums = this.#sizes.map((size) => matrix(size, size))
    this.#session.bind(boundWeights(this.#session, weights))
    let tokens = 0
    for (const rows of batchesOf(texts)) {
      throwIfAborted(signal)
      const { feeds, dims } = batchFeeds(
        this.#model,
        weights,
        rows.map((row) => texts[row]!),
      )
      const results = await this.#session.run(feeds, { dims })
      for (const [i, { data }] of sums.entries()) {
        const part = results[`gram ${i}`] as Float32Array
        for (let k = 0; k < data.length; k++) data[k]! += part[k]!
      }
      tokens += rows.reduce((sum, row) => sum + texts[row]!.length, 0)
    }
    const found = new Map<string, Gram>()
    for (const [i, names] of this.#maps.entries()) {
      const gram = { sum: sums[i]!, count: this.#first[i] ? texts.length : tokens }
      for (const name of names) found.set(name, gram)
    }
    return found
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}

/** How often each token occurs: the Gram matrix of the token table, whose inputs are one-hot, is this diagonal. */
export function tokenCounts(texts: readonly Int32Array[], vocabularySize: number): Float64Array {
  const counts = new Float64Array(vocabularySize)
  for (const text of texts) for (const id of text) counts[id]! += 1
  return counts
}
