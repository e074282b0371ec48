/** LAMA: several attentions over the tokens by matrices of low rank (Mehta et al., 2019). */
import * as v from 'valibot'
import { defineHeadMethod } from '../head-method.ts'
import { flat } from './flat.ts'

const count = (most: number, fallback: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most)), fallback)

/**
 * The text is read as several weighted means of its tokens. Each head compares tokens with one context vector of the text by a matrix of low rank. The
 * paper's encoder is a bidirectional GRU, `--encoder gru` here; any other will do. Units as in `flat`.
 * - `heads` (1 to 64, default 8), `rank` (1 to 64, default 1).
 * - `context`: `mean` of the text's states (default), or one `learned` vector.
 * - `bounded` (default true): tanh on both factors.
 * - `attention`: `low-rank` (default); for comparison `structured`, Lin et al.'s hidden layer (`inner`, default 64 wide) and vector per head; or `mean`, no
 *   attention at all.
 * @throws InputError `METHOD_ENCODER` for the encoder `ngram`.
 * @example
 * const model = await train(rows, { method: lama({ heads: 12 }), encoder: 'mini' })
 */
export const lama = defineHeadMethod(
  {
    name: 'lama',
    summary: 'Several attentions over the tokens with very few parameters. Needs an encoder.',
    source: 'Mehta et al., Low rank factorization for compact multi-head self-attention, 2019',
    status: 'partial',
    results: 'docs/results/lama.md',
  },
  v.object({
    heads: count(64, 8),
    rank: count(64, 1),
    context: v.optional(v.picklist(['mean', 'learned']), 'mean'),
    bounded: v.optional(v.boolean(), true),
    attention: v.optional(v.picklist(['low-rank', 'structured', 'mean']), 'low-rank'),
    inner: count(4096, 64),
  }),
  flat.layout,
  {
    slots: (given) => {
      const { heads, rank, context, bounded, attention, inner } = given as {
        heads: number
        rank: number
        context: 'mean' | 'learned'
        bounded: boolean
        attention: 'low-rank' | 'structured' | 'mean'
        inner: number
      }
      return {
        slots: () => {
          if (attention === 'mean') return { kind: 'pooled-attention', form: 'mean' }
          if (attention === 'structured') return { kind: 'pooled-attention', form: 'structured', heads, inner }
          return { kind: 'pooled-attention', form: 'low-rank', heads, rank, context, bounded }
        },
      }
    },
  },
)
