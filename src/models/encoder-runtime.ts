/** Inference with an encoder: token ids in, logits, pooled vectors or hidden states out. */
import { compile, Graph, type HostArray, type RuntimeName, type Session } from '../graph/index.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { EncoderModel } from './encoder.ts'
import { encoderThreads } from './threads.ts'
import { batchFeeds, gatherRows, tokenBatch } from './token-batch.ts'

export type EncoderOutput = 'logits' | 'pooled' | 'hidden'

export interface OpenEncoderOptions extends RunOptions {
  runtime?: RuntimeName
  /** Default 1; narrow encoders use fewer, see `encoderThreads`. */
  threads?: number
  /**
   * The weights will not change: the session keeps a copy in the layout its kernels like best, which makes single texts about a third faster.
   * Default false.
   */
  fixed?: boolean
}

export interface EncodeOptions extends RunOptions {
  /** Texts in one run at most; default 32. Long texts run in smaller groups. */
  batchSize?: number
}

/** Tokens in one run, padding included: their activations still fit the caches, so more of them at once would be slower. */
const tokensPerRun = 512

/**
 * Opens an encoder for one kind of output: `logits` [units], `pooled` [hidden] (what the classifier sees) or `hidden` [tokens, hidden] per text.
 * The weights are used in place, so later changes of them show in later runs, unless they are declared fixed.
 * @example
 * const encoder = await openEncoder(model, await loadWeights(model, checkpoint), 'logits')
 * const [logits] = await encoder.run([tokenizer.encode('book a table', 64)])
 */
export async function openEncoder(
  model: EncoderModel,
  weights: ReadonlyMap<string, Float32Array>,
  output: EncoderOutput,
  options: OpenEncoderOptions = {},
): Promise<EncoderRuntime> {
  const graph = new Graph()
  const built = model.build(graph, { hidden: output === 'hidden' })
  const tensor = built[output]
  if (!tensor)
    throw new InputError('ENCODER_OUTPUT', 'The encoder has no classifier, so it gives no logits', {
      help: 'make the model with the number of units',
    })
  const inGraph = new Map<string, HostArray>([...weights].filter(([name]) => built.parameters.has(name)))
  const session = await compile(
    graph,
    { output: tensor },
    {
      ...options,
      threads: encoderThreads(model.config, options.threads ?? 1),
      ...(options.fixed ? { weights: inGraph } : {}),
    },
  )
  session.bind(new Map([...inGraph].filter(([name]) => session.has(name))))
  return new EncoderRuntime(model, weights, output, session)
}

export class EncoderRuntime {
  readonly model: EncoderModel
  readonly output: EncoderOutput
  private readonly session: Session
  private readonly table: Float32Array

  constructor(
    model: EncoderModel,
    weights: ReadonlyMap<string, Float32Array>,
    output: EncoderOutput,
    session: Session,
  ) {
    this.model = model
    this.output = output
    this.session = session
    this.table = weights.get(model.tokenTable)!
  }

  /**
   * One array per text, in the order given. Texts of like length run together, so that little is spent on padding.
   * @param texts token ids with special tokens, at least one each.
   * @throws InputError `TOKEN_LENGTH`, `TOKEN_ID`
   */
  async run(
    texts: readonly ArrayLike<number>[],
    { batchSize = 32, signal, onProgress }: EncodeOptions = {},
  ): Promise<Float32Array[]> {
    const { hiddenSize } = this.model.config
    const order = texts.map((_, i) => i).sort((a, b) => texts[a]!.length - texts[b]!.length || a - b)
    const results = new Array<Float32Array>(texts.length)
    for (let start = 0, end = 0; start < order.length; start = end) {
      throwIfAborted(signal)
      end = start + 1
      // Lengths ascend, so the next text would be the longest.
      const fits = (i: number) => (i - start + 1) * texts[order[i]!]!.length <= tokensPerRun
      while (end < order.length && end - start < batchSize && fits(end)) end++
      const indices = order.slice(start, end)
      const batch = tokenBatch(
        indices.map((i) => texts[i]!),
        this.model,
      )
      const feeds = batchFeeds(batch, gatherRows(batch, this.table, hiddenSize), this.model)
      const { output } = await this.session.run(feeds, { dims: { B: batch.B, S: batch.S } })
      const width = output!.length / batch.B
      for (const [b, i] of indices.entries()) {
        const used = this.output === 'hidden' ? texts[i]!.length * hiddenSize : width
        results[i] = (output as Float32Array).slice(b * width, b * width + used)
      }
      onProgress?.({ step: 'encode', done: end, total: texts.length, unit: 'texts' })
    }
    return results
  }

  async close(): Promise<void> {
    await this.session.close()
  }
}
