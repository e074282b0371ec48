/** HierVerb: a prompt with a slot for every level, label vectors from label names, and two terms that tie levels together (Ji et al., 2023). */
import * as v from 'valibot'
import { unitsAbove } from '../../labels/level-layout.ts'
import type { EncoderConfig } from '../../models/encoder.ts'
import { defineHeadMethod, type SlotInput, type SlotStart } from '../head-method.ts'
import { labelNameVectors } from '../label-names.ts'
import { identityMatrices, levelEnds, levelHead } from '../level-head.ts'
import { maskedHead, maskedHeadTensors } from '../masked-head.ts'
import { type PromptPart, promptVectors } from '../prompt.ts'

const weight = v.pipe(v.number(), v.minValue(0), v.maxValue(100))

const options = v.object({
  names: v.optional(v.picklist(['embeddings', 'states', 'none'])),
  read: v.optional(v.picklist(['masks', 'mean'])),
  chain: v.optional(weight, 1),
  contrast: v.optional(weight, 0.5),
  temperature: v.optional(v.pipe(v.number(), v.minValue(0.05), v.maxValue(100)), 0.2),
  decay: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(10)), 1),
  cosine: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100))),
  maskedHead: v.optional(v.boolean()),
  compat: v.optional(v.boolean(), false),
})
type Options = v.InferOutput<typeof options>

/** Cosines times this are logits, where no language model's head says what a product means. */
const usualCosine = 16

/** A sentence encoder has something to say in the mean of its states, a language model at its masks. */
const reads = (settled: Options, config: EncoderConfig): 'masks' | 'mean' =>
  settled.read ?? (hasHead(settled, config) ? 'masks' : 'mean')

const hasHead = ({ maskedHead: asked }: Options, config: EncoderConfig): boolean => asked ?? maskedHead(config)

/** "It was 1 level: [MASK] 2 level: [MASK] ." */
const template = (levels: number): PromptPart[] => [
  { word: 'It' },
  { word: 'was' },
  ...Array.from({ length: levels }, (_, level): PromptPart[] => [
    { word: String(level + 1) },
    { word: 'level' },
    { word: ':' },
    'mask',
  ]).flat(),
  { word: '.' },
]

/**
 * For few rows and a tree. Every level has a slot in a prompt, and scores its labels by their vectors, which start from the labels' names. Each level has a
 * softmax over its labels; with several labels per row, one yes-or-no for each.
 * - `names`: what label vectors start from: `embeddings`, the mean of the table's rows of the name's tokens (default with a masked language model's head,
 *   and for `mini`); `states`, the mean of the name's last hidden states (default for other checkpoints); `none`, chance. Upper levels add the mean of
 *   their children.
 * - `read`: `masks`, slots are the states at the masks of a prompt (default with a masked language model's head); `mean`, a matrix for each level, at
 *   first the identity, makes its slot of the mean of the text's states (default for other encoders: nobody taught them what a mask asks for).
 * - `chain` (0 to 100, default 1; 0 is off): weight of the constraint chain, the last level's probabilities added up to find the labels above.
 * - `contrast` (0 to 100, default 0.5; 0 is off; published: 0.01) with `temperature` (0.05 to 100, default 0.2; published: 1, at which it is almost
 *   flat) and `decay` (default 1): weight of the contrast of slots, over two views of every row with other dropout.
 * - `cosine`: logits are cosines times this (default 16); 0: products plus a bias (default with a masked language model's head).
 * - `maskedHead`: take the transform of the checkpoint's masked language model (default: if config.json names such a model).
 * - `compat`: as released, the chain takes a softmax of probabilities, and [CLS] and [SEP] count in label names.
 *
 * Deviations: the prompt is a prefix of learned vectors that start from the template's words; there is no auxiliary masked language model loss (weight
 * 0.001 as published); the released second optimiser, which leaves deeper verbalizers untrained, is not reproduced.
 * @throws InputError `METHOD_ENCODER` for the encoder `ngram`; `METHOD_DATA` for one path per row and labels with several parents.
 * @example
 * const model = await train(rows, { method: hierverb(), encoder: 'minilm' })
 */
export const hierverb = defineHeadMethod(
  {
    name: 'hierverb',
    summary:
      'A slot for every level, label vectors from names, levels tied together: for few rows and a tree. Needs an encoder.',
    source: 'Ji et al., Hierarchical verbalizer for few-shot hierarchical text classification, 2023',
    status: 'partial',
    results: 'docs/results/hierverb.md',
  },
  options,
  (tree, context) => levelHead(tree, context, 'hierverb'),
  {
    slots: (given) => {
      const settled = given as Options
      return {
        slots(tree, layout, config) {
          const ends = levelEnds(layout, tree)
          const parts = template(ends.length)
          const head = hasHead(settled, config)
          const masks = reads(settled, config) === 'masks'
          const cosine = settled.cosine ?? (head && masks ? 0 : usualCosine)
          return {
            kind: 'levels',
            prefix: masks ? parts.length : 0,
            places: masks ? parts.flatMap((part, place) => (part === 'mask' ? [place] : [])) : [],
            ends,
            transform: head && masks,
            ...(cosine > 0 ? { cosine } : {}),
          }
        },
        prepare: (input) => prepare(settled, input),
      }
    },
  },
)

async function prepare(settled: Options, input: SlotInput): Promise<SlotStart> {
  const { layout, tree, config } = input
  const head = hasHead(settled, config)
  const masks = reads(settled, config) === 'masks'
  const ends = levelEnds(layout, tree)
  const names = settled.names ?? (head || input.fresh ? 'embeddings' : 'states')
  const { chain, contrast, temperature, decay, compat } = settled
  return {
    initial: new Map([
      masks
        ? (['slots.prefix.weight', await promptVectors(template(ends.length), input)] as const)
        : (['slots.levels.weight', identityMatrices(ends.length, config.hiddenSize)] as const),
      ...(names === 'none'
        ? []
        : ([
            ['slots.output.weight', await labelNameVectors(input, names, { children: true, frame: compat })],
          ] as const)),
      ...(head && masks ? await maskedHeadTensors(input) : []),
    ]),
    objective: {
      kind: 'hierverb',
      ends,
      above: layout.activation === 'softmax' ? [...unitsAbove(layout, tree)] : [],
      chain,
      contrast,
      temperature,
      decay,
      compat,
    },
  }
}
