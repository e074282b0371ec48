/**
 * The linear path to very many labels: a tree over the labels, sparse linear rankers at its nodes, beam search (Prabhu et al., Parabel, 2018; Yu et al.,
 * PECOS: XR-Linear, 2022). Differences from PECOS: TF-IDF of hashed n-grams, words and characters each of length one; a label's vector keeps its 128 strongest
 * features; weights have 8 bits; the solver ends at a looser tolerance.
 */
import * as v from 'valibot'
import { InputError } from '../../util/errors.ts'
import { defineHeadMethod } from '../head-method.ts'
import type { XrMethodOptions } from '../train-xr-linear.ts'

const whole = (least: number, most: number) => v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most))

/**
 * Ranks labels by a beam search through a tree of sparse linear rankers: for thousands to millions of labels, one or several per row. Works on hashed
 * n-grams of the texts (`--encoder ngram`). Model files are read by ranges, so that a large model opens at once.
 * - `features`: `words`, `characters` (1-2 words and 2-5 characters), or `auto` (default): characters up to 4 million characters of text.
 * - `tree`: `learnt` (default) from the rows by balanced spherical 2-means, or `labels`, the label tree itself.
 * - `branching` (2 to 256, a power of two, default 16), `leafSize` (default 64): shape of a learnt tree.
 * - `beam` (default 20): nodes kept on each level.
 * - `cost` (default 4): C of the support vector machines. `threshold` (default 0.05): smaller weights are left out.
 * - `negatives`: `tfn` (default, rows below the node) or `tfn+man` (and rows that the levels above would send there).
 * @throws InputError `METHOD_DATA` with another encoder.
 * @example
 * const model = await train(rows, { method: xrLinear({ beam: 20 }) })
 */
export const xrLinear = defineHeadMethod(
  {
    name: 'xr-linear',
    summary:
      'A tree of sparse linear rankers with beam search, for thousands to millions of labels, one or several per row.',
    source:
      'Prabhu et al., Parabel, 2018; Yu et al., PECOS: prediction for enormous and correlated output spaces, 2022',
    status: 'partial',
    results: 'docs/results/extreme.md',
  },
  v.object({
    features: v.optional(v.picklist(['auto', 'words', 'characters']), 'auto'),
    tree: v.optional(v.picklist(['learnt', 'labels']), 'learnt'),
    branching: v.optional(
      v.pipe(
        whole(2, 256),
        v.check((value) => Number.isInteger(Math.log2(value)), 'Expected a power of two'),
      ),
      16,
    ),
    leafSize: v.optional(whole(2, 1024), 64),
    beam: v.optional(whole(1, 1000), 20),
    cost: v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(1000)), 4),
    threshold: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0.05),
    negatives: v.optional(v.picklist(['tfn', 'tfn+man']), 'tfn'),
  }),
  (_, { multiLabel, terminals }) => ({
    activation: multiLabel ? 'sigmoid' : 'softmax',
    unitNodes: Int32Array.from(terminals),
    groups: [{ parent: -1, start: 0, end: terminals.length }],
  }),
  {
    own: (options) => ({
      async train(training) {
        checkEncoder(training.options.encoder)
        return (await import('../train-xr-linear.ts')).trainXrLinearScorer(
          training,
          options as unknown as XrMethodOptions,
        )
      },
      async plan({ layout, train, threads, encoder }) {
        checkEncoder(encoder)
        return (await import('../train-xr-linear.ts')).planXrLinear(
          layout,
          train,
          threads,
          options as unknown as XrMethodOptions,
        )
      },
    }),
  },
)

function checkEncoder(encoder = 'ngram'): void {
  if (encoder === 'ngram') return
  throw new InputError('METHOD_DATA', `xr-linear works on n-grams of the texts, received the encoder ${encoder}`, {
    help: 'leave --encoder out, or choose another --method',
  })
}
