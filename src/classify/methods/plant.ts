/** PLANT: label attention that starts from which tokens speak for which label, counted and ranked over the training rows, in place of noise. */
import * as v from 'valibot'
import type { LabelTree } from '../../labels/label-tree.ts'
import { planted } from '../../models/slots/planted-parameters.ts'
import type { SlotConfigOf } from '../../models/slots/slot-config.ts'
import { InputError } from '../../util/errors.ts'
import { defineHeadMethod, type SlotInput, type SlotMethod, type SlotStart } from '../head-method.ts'
import { flat } from './flat.ts'

const count = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most))

const schema = v.object({
  table: v.optional(v.boolean(), true),
  ranker: v.optional(v.boolean(), false),
  linear: v.optional(v.boolean(), true),
  mix: v.optional(v.picklist(['sum', 'learned']), 'sum'),
  keepTable: v.optional(count(512), 5),
  keepRanker: v.optional(count(512), 30),
  minRows: v.optional(count(1_000_000), 3),
  fineTune: v.optional(v.boolean(), true),
  factors: v.optional(count(1024), 64),
  rankerEpochs: v.optional(count(1000), 40),
  rankerRate: v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(10)), 0.02),
})
type PlantOptions = v.InferOutput<typeof schema>

/** Values of a table of tokens and units at most: 512 MB. */
const largestTable = 2 ** 27

/**
 * Before training, every token of the training rows is measured against every label (`table`), a small model may learn to rank tokens by it (`ranker`), and
 * both become attentions of the classifier, beside the learnt one of `caml` (`linear`). Units as in `flat`.
 * - `table`, `linear` (default true), `ranker` (default false): which attentions there are. The paper has all three; in our check the table gains most, and
 *   the ranker beside it takes from that.
 * - `mix` (default `sum`): context vectors are added up; `learned`: a weight for each is learnt, starting at 1 for the table and 0 for the others.
 * - `keepTable` (default 5), `keepRanker` (default 30): tokens of a text that a label keeps.
 * - `minRows` (default 3): tokens in fewer training rows are not planted; what they seem to say is chance. The paper plants all.
 * - `fineTune` (default true): the ranker's factors are trained on; the table never is.
 * - `factors` (default 64), `rankerEpochs` (default 40), `rankerRate` (default 0.02): the ranker's width, passes over the tokens, learning rate.
 *
 * The paper's encoder is an AWD-LSTM that reads long documents in chunks of 72 tokens; here it is the transformer that `encoder` names, which reads one
 * text of up to 512 tokens at once, so there is no state between chunks.
 * @throws InputError `METHOD_ENCODER` for the encoder `ngram`; `METHOD_OPTION` without any attention; `METHOD_DATA` if vocabulary times labels is too much.
 * @example
 * const model = await train(rows, { method: plant({ ranker: true, fineTune: false }), encoder: 'mini' })
 */
export const plant = defineHeadMethod(
  {
    name: 'plant',
    summary: 'Label-wise attention that starts from which tokens speak for a label. Needs an encoder; for rare labels.',
    source: 'Roy et al., PLANT: learning-to-rank attention for extreme multi-label text classification, 2024',
    status: 'works',
    results: 'docs/results/plant.md',
  },
  schema,
  flat.layout,
  { slots: (options) => slotMethod(options as PlantOptions) },
)

function slotMethod(options: PlantOptions): SlotMethod {
  const parts = (['table', 'ranker', 'linear'] as const).filter((part) => options[part])
  if (parts.length === 0)
    throw new InputError('METHOD_OPTION', 'plant expects at least one of table, ranker and linear', {
      where: { key: 'plant' },
      help: 'leave one of them on',
    })
  return {
    slots: (_tree: LabelTree, layout, { vocabularySize }) => {
      const units = layout.unitNodes.length
      if (options.table && vocabularySize * units > largestTable)
        throw new InputError(
          'METHOD_DATA',
          `plant keeps a table of tokens times labels: expected at most ${largestTable} values, received ${vocabularySize} times ${units}`,
          { help: 'turn the table off (table=false), or use --method caml' },
        )
      return {
        kind: 'planted-attention',
        parts,
        factors: options.factors,
        keep: { table: options.keepTable, ranker: options.keepRanker },
        mix: options.mix,
      }
    },
    prepare: (input) => plantAttention(options, input),
  }
}

async function plantAttention(options: PlantOptions, input: SlotInput): Promise<SlotStart> {
  const [{ tokenInformation }, { trainRanker }] = await Promise.all([
    import('../../train/planting/token-information.ts'),
    import('../../train/planting/train-ranker.ts'),
  ])
  const { layout, config, rows, targets, seed, run } = input
  const { parts } = input.slots as SlotConfigOf<'planted-attention'>
  const units = layout.unitNodes.length
  const information = tokenInformation(rows, targets, units, config.vocabularySize, options.minRows)
  const initial = new Map<string, Float32Array>()
  if (options.table) initial.set(planted.table, scaledByUnit(information, units))
  if (options.ranker) {
    const { factors, rankerEpochs, rankerRate } = options
    const ranker = await trainRanker(information, units, {
      factors,
      epochs: rankerEpochs,
      learningRate: rankerRate,
      seed,
      ...run,
    })
    run.onProgress?.({ step: 'rank tokens', done: 0, note: `nDCG@6 of the ranked tokens: ${ranker.ndcg.toFixed(3)}` })
    initial.set(planted.tokens, ranker.tokens)
    initial.set(planted.tokenBias, ranker.tokenBias)
    initial.set(planted.units, ranker.units)
  }
  if (options.mix === 'learned')
    initial.set(
      planted.mix,
      Float32Array.from(parts, (part) => Number(part === 'table' || (part === 'ranker' && !options.table))),
    )
  const frozen = [
    ...(options.table ? [planted.table] : []),
    ...(options.ranker && !options.fineTune ? [planted.tokens, planted.tokenBias, planted.units] : []),
  ]
  return { initial, defaults: { freeze: frozen } }
}

/** Each unit's column over its largest value: information falls with a label's frequency, what a token is worth to it does not. */
function scaledByUnit(information: Float32Array, units: number): Float32Array {
  const largest = new Float32Array(units)
  for (let i = 0; i < information.length; i++) largest[i % units] = Math.max(largest[i % units]!, information[i]!)
  return information.map((value, i) => (value > 0 ? value / largest[i % units]! : 0))
}
