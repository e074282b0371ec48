/**
 * Integrated gradients (Sundararajan et al., 2017) of an encoder: gradients of the score by the word embeddings, averaged along the straight path from
 * a text of mask tokens to the text. Positions and special tokens stay as they are.
 */
import * as v from 'valibot'
import { compile, Graph, gradients, type Session } from '../../graph/index.ts'
import type { EncoderModelParts } from '../../models/model-parts.ts'
import { encoderThreads } from '../../models/threads.ts'
import { batchFeeds, gatherRows, tokenBatch } from '../../models/token-batch.ts'
import { throwIfAborted } from '../../util/errors.ts'
import { defineExplainMethod, type Explainer, type TextToExplain } from '../explain-method.ts'
import { midpoints, pathIntegral } from '../path-integral.ts'

/** Tokens in one run: activations of a backward pass still fit the caches. */
const tokensPerRun = 512

type Baseline = 'mask' | 'pad' | 'zero'

/**
 * Gradients along a path, from a baseline of mask tokens (or padding tokens, or zeros). With the baseline's score the attributions sum to the score of
 * the text; the error of the sum is reported and falls with the square of the steps.
 * @example
 * const [explanation] = await explain(model, ['book a table for two'], { method: integratedGradients({ steps: 128 }) })
 */
export const integratedGradients = defineExplainMethod(
  {
    name: 'integrated-gradients',
    summary: 'Gradients along the path from a masked text: encoders only, complete, one backward pass per step',
    source: 'Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, 2017',
    status: 'works',
    results: 'docs/results/explain.md',
  },
  v.object({
    steps: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.description('points on the path')), 64),
    baseline: v.optional(
      v.pipe(
        v.picklist(['mask', 'pad', 'zero']),
        v.description('what stands in the place of every token at the beginning of the path'),
      ),
      'mask',
    ),
  }),
  'encoder',
  (parts, { steps, baseline }) => openGradients(parts, steps, baseline),
)

async function openGradients(parts: EncoderModelParts, steps: number, baseline: Baseline): Promise<Explainer> {
  const { model, weights, threads } = parts
  const graph = new Graph()
  const { logits, tokens, parameters } = model.build(graph)
  // The score is a function of the logits that the host knows: its gradient comes in as the seed.
  const seed = graph.input('seed', 'float32', ['B', model.head.units])
  const [byTokens] = gradients(logits!, [tokens], seed)
  const options = { threads: encoderThreads(model.config, threads) }
  const forward = await compile(graph, { logits: logits! }, options)
  const backward = await compile(graph, { gradient: byTokens! }, options)
  for (const session of [forward, backward])
    session.bind(new Map([...weights].filter(([name]) => parameters.has(name) && session.has(name))))
  return {
    attribute: (text) => attribute(parts, forward, backward, steps, baseline, text),
    async close() {
      await forward.close()
      await backward.close()
    },
  }
}

async function attribute(
  { model, weights, tokenizer }: EncoderModelParts,
  forward: Session,
  backward: Session,
  steps: number,
  baseline: Baseline,
  { masked, target, signal }: TextToExplain,
): Promise<{ values: Float64Array; base: number; details: Record<string, number> }> {
  const { hiddenSize } = model.config
  const { units } = model.head
  const ids = masked.ids!
  const count = masked.tokens.length
  // A prompt of the head stands behind the first token: what comes after it is further back in the batch.
  const { ids: placed, S } = tokenBatch([ids], model)
  const placeOf = (token: number) => (masked.first! + token === 0 ? 0 : masked.first! + token + model.prefix)
  const places = new Set(Array.from({ length: count }, (_, token) => placeOf(token)))
  const table = weights.get(model.tokenTable)!
  const x = gatherRows({ ids: placed }, table, hiddenSize)
  const stand = baseline === 'mask' ? (tokenizer.maskId ?? tokenizer.padId) : tokenizer.padId
  const start = gatherRows(
    { ids: placed.map((id, i) => (places.has(i) ? (baseline === 'zero' ? -1 : stand) : id)) },
    table,
    hiddenSize,
  )

  const logitsOf = async (rows: Float32Array, B: number): Promise<Float32Array> => {
    const batch = tokenBatch(
      Array.from({ length: B }, () => ids),
      model,
    )
    return (await forward.run(batchFeeds(batch, rows, model), { dims: { B, S } }))['logits'] as Float32Array
  }
  const gradientsAt = async (alphas: readonly number[]): Promise<Float32Array[]> => {
    const found: Float32Array[] = []
    const size = Math.max(1, Math.floor(tokensPerRun / S))
    for (let first = 0; first < alphas.length; first += size) {
      throwIfAborted(signal)
      const part = alphas.slice(first, first + size)
      const B = part.length
      const rows = new Float32Array(B * x.length)
      for (const [b, alpha] of part.entries())
        for (let i = 0; i < x.length; i++) rows[b * x.length + i] = start[i]! + alpha * (x[i]! - start[i]!)
      const logits = await logitsOf(rows, B)
      const seed = new Float32Array(B * units)
      for (let b = 0; b < B; b++) {
        const gradient = new Float64Array(units)
        target.addGradient(logits.subarray(b * units, (b + 1) * units), gradient)
        seed.set(gradient, b * units)
      }
      const batch = tokenBatch(
        part.map(() => ids),
        model,
      )
      const feeds = Object.fromEntries(
        Object.entries({ ...batchFeeds(batch, rows, model), seed }).filter(([name]) => backward.has(name)),
      )
      const { gradient } = await backward.run(feeds, { dims: { B, S } })
      for (let b = 0; b < B; b++) found.push((gradient as Float32Array).slice(b * x.length, (b + 1) * x.length))
    }
    return found
  }
  const perValue = await pathIntegral(x, start, midpoints(steps), gradientsAt)
  const values = new Float64Array(count)
  for (let token = 0; token < count; token++)
    for (let i = 0; i < hiddenSize; i++) values[token]! += perValue[placeOf(token) * hiddenSize + i]!
  const base = target.value(await logitsOf(start, 1))
  return { values, base, details: { steps } }
}
