/**
 * Attention rollout (Abnar and Zuidema, 2020): how much of each token the pooled vector could have seen, if attention were all that mixes tokens. The same
 * for every label, and never negative: it says where the model looks, not for what.
 */
import * as v from 'valibot'
import { compile, Graph, reduceMean, type Session } from '../../graph/index.ts'
import type { EncoderModelParts } from '../../models/model-parts.ts'
import { encoderThreads } from '../../models/threads.ts'
import { batchFeeds, gatherRows, tokenBatch } from '../../models/token-batch.ts'
import { InputError } from '../../util/errors.ts'
import { defineExplainMethod, type Explainer } from '../explain-method.ts'

/**
 * The product of (A + I) / 2 over the layers, last layer first.
 * @param layers mean attention of each layer, [queries, size], rows that sum to one; fewer queries than tokens are the first ones.
 * @returns [queries of the last layer, size].
 */
export function rollout(layers: readonly ArrayLike<number>[], size: number): Float64Array {
  let product = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0))
  for (const layer of layers) {
    const queries = layer.length / size
    const next = new Float64Array(queries * size)
    for (let q = 0; q < queries; q++)
      for (let k = 0; k < size; k++) {
        const weight = (layer[q * size + k]! + (q === k ? 1 : 0)) / 2
        for (let j = 0; j < size; j++) next[q * size + j]! += weight * product[k * size + j]!
      }
    product = next
  }
  return product
}

/**
 * Attention followed back through the layers to each token. Special tokens keep their part of it, so the attributions sum to less than one.
 * @example
 * const [explanation] = await explain(model, ['book a table for two'], { method: attentionRollout() })
 */
export const attentionRollout = defineExplainMethod(
  {
    name: 'attention-rollout',
    summary: 'Where the encoder looks, layers multiplied: one forward pass, the same for every label',
    source: 'Abnar and Zuidema, Quantifying Attention Flow in Transformers, 2020',
    status: 'works',
    results: 'docs/results/explain.md',
  },
  v.object({}),
  'encoder',
  (parts) => openRollout(parts),
)

async function openRollout({ model, weights, threads }: EncoderModelParts): Promise<Explainer> {
  if (model.config.slots !== undefined && model.head.units > 0)
    throw new InputError('METHOD_ENCODER', 'attention-rollout follows the first token, this head reads others', {
      help: 'use --method integrated-gradients',
    })
  const graph = new Graph()
  const { attentions, parameters } = model.build(graph)
  if (attentions.length === 0)
    throw new InputError(
      'METHOD_ENCODER',
      `attention-rollout expects layers of attention, a ${model.config.family} encoder has none`,
      {
        help: 'use --method integrated-gradients',
      },
    )
  const outputs = Object.fromEntries(attentions.map((weights, layer) => [`layer ${layer}`, reduceMean(weights, [1])]))
  const session: Session = await compile(graph, outputs, { threads: encoderThreads(model.config, threads) })
  session.bind(new Map([...weights].filter(([name]) => parameters.has(name) && session.has(name))))
  const table = weights.get(model.tokenTable)!
  return {
    async attribute({ masked }) {
      const { B, S, ids, mask } = tokenBatch([masked.ids!], model)
      const all = batchFeeds({ ids, mask }, gatherRows({ ids }, table, model.config.hiddenSize), model)
      const feeds = Object.fromEntries(Object.entries(all).filter(([name]) => session.has(name)))
      const found = await session.run(feeds, { dims: { B, S } })
      const product = rollout(
        attentions.map((_, layer) => found[`layer ${layer}`] as Float32Array),
        S,
      )
      // The head reads the first token, or the mean of all.
      const queries = model.head.pooling === 'mean' ? S : 1
      const values = Float64Array.from(masked.tokens, (_, token) => {
        let sum = 0
        for (let q = 0; q < queries; q++) sum += product[q * S + masked.first! + token]!
        return sum / queries
      })
      return { values, details: { layers: attentions.length } }
    },
    close: () => session.close(),
  }
}
