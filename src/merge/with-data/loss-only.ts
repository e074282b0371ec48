/** The loss of an encoder's logits without gradients, for any weights of its shape: a session of the forward pass alone. */
import { compile, Graph, type HostArray, type Session, type Tensor } from '../../graph/index.ts'
import type { EncoderModel } from '../../models/index.ts'
import { encoderThreads } from '../../models/threads.ts'
import { batchFeeds, boundWeights } from './batches.ts'
import type { Weights } from './specialists.ts'

export class LossOnly {
  readonly #model: EncoderModel
  readonly #session: Session
  #weights: Weights = new Map()

  private constructor(model: EncoderModel, session: Session) {
    this.#model = model
    this.#session = session
  }

  static async open(
    model: EncoderModel,
    { loss, threads }: { loss: (logits: Tensor) => Tensor; threads: number },
  ): Promise<LossOnly> {
    const graph = new Graph()
    const built = model.build(graph)
    const outputs = { loss: loss(built.logits!) }
    return new LossOnly(model, await compile(graph, outputs, { threads: encoderThreads(model.config, threads) }))
  }

  /** They are read at every run, so they may change in place. */
  bind(weights: Weights): void {
    this.#weights = weights
    this.#session.bind(boundWeights(this.#session, weights))
  }

  async run(
    texts: readonly Int32Array[],
    loss: { feeds?: Record<string, HostArray>; dims?: Record<string, number> } = {},
  ): Promise<number> {
    const { feeds, dims } = batchFeeds(this.#model, this.#weights, texts)
    const result = await this.#session.run({ ...feeds, ...loss.feeds }, { dims: { ...dims, ...loss.dims } })
    return (result['loss'] as Float32Array)[0]!
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}
