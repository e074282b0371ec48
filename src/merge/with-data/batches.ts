/** Texts in batches for an encoder's graph: those of like length together, so that little is spent on padding. */
import type { HostArray, Session } from '../../graph/index.ts'
import { type EncoderModel, gatherRows, type TokenBatch, tokenBatch } from '../../models/index.ts'
import type { Weights } from './specialists.ts'

const tokensPerBatch = 1024

/** Indices of the texts of each batch. */
export function batchesOf(texts: readonly ArrayLike<number>[], batchSize = 64): number[][] {
  const order = texts.map((_, i) => i).sort((a, b) => texts[a]!.length - texts[b]!.length || a - b)
  const batches: number[][] = []
  for (let start = 0, end = 0; start < order.length; start = end) {
    end = start + 1
    const fits = (i: number) => (i - start + 1) * texts[order[i]!]!.length <= tokensPerBatch
    while (end < order.length && end - start < batchSize && fits(end)) end++
    batches.push(order.slice(start, end))
  }
  return batches
}

export interface BatchFeeds {
  readonly batch: TokenBatch
  readonly feeds: Record<string, HostArray>
  readonly dims: { readonly B: number; readonly S: number }
}

/** What the graph of a model is fed for some texts. */
export function batchFeeds(model: EncoderModel, weights: Weights, texts: readonly Int32Array[]): BatchFeeds {
  const batch = tokenBatch(texts, model)
  const table = weights.get(model.tokenTable)!
  return {
    batch,
    feeds: { tokenRows: gatherRows(batch, table, model.config.hiddenSize), attention_mask: batch.mask },
    dims: { B: batch.B, S: batch.S },
  }
}

/** The weights that a session asks for. */
export const boundWeights = (session: Session, weights: Weights): Map<string, HostArray> =>
  new Map([...weights].filter(([name]) => session.has(name)))
