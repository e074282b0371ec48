/** LH-Mix: a prompt with a slot for every depth, and mixtures of two texts as alike as their label paths (Kong et al., 2025). */
import * as v from 'valibot'
import type { EncoderConfig } from '../../models/encoder.ts'
import type { LhMixLoss } from '../../train/objectives/lh-mix.ts'
import { defineHeadMethod, type SlotInput, type SlotStart } from '../head-method.ts'
import { labelNameVectors, labelSetVectors } from '../label-names.ts'
import { identityMatrices, levelEnds, levelHead } from '../level-head.ts'
import { maskedHead, maskedHeadTensors } from '../masked-head.ts'
import { type PromptPart, promptVectors } from '../prompt.ts'

const options = v.object({
  ratio: v.optional(v.picklist(['guided', 'permuted', 'uniform', 'half', 'none']), 'guided'),
  similarity: v.optional(v.picklist(['shared-depth', 'jaccard', 'names']), 'shared-depth'),
  beta: v.optional(v.pipe(v.number(), v.minValue(0.5), v.maxValue(1)), 0.75),
  alpha: v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(10)), 1),
  warmUp: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  localHierarchy: v.optional(v.boolean(), true),
  read: v.optional(v.picklist(['masks', 'mean'])),
  names: v.optional(v.picklist(['embeddings', 'states', 'none'])),
  maskedHead: v.optional(v.boolean()),
  compat: v.optional(v.boolean(), false),
})
type Options = v.InferOutput<typeof options>

const hasHead = ({ maskedHead: asked }: Options, config: EncoderConfig): boolean => asked ?? maskedHead(config)

/** As in `hierverb`; without the local hierarchy there is one slot to share, at a mask. */
const reads = (settled: Options, config: EncoderConfig): 'masks' | 'mean' =>
  settled.localHierarchy ? (settled.read ?? (hasHead(settled, config) ? 'masks' : 'mean')) : 'masks'

/** A vector of its own and a mask for every depth; one mask for all of them where the local hierarchy is left out. */
const template = ({ localHierarchy }: Options, depth: number): PromptPart[] =>
  localHierarchy ? Array.from({ length: depth }, (): PromptPart[] => ['free', 'mask']).flat() : ['mask']

/**
 * Slots for depths, trained on mixtures of the slots of two texts: the more alike their label paths, the more even the mixture. The loss is ZLPR at every
 * depth. Units as in `hierverb`.
 * - `ratio`: `guided` (default); for comparison `permuted` (the same ratios given to other pairs), `uniform` (drawn), `half`, `none` (no mixtures).
 * - `similarity`: `shared-depth` (default), the share of levels on which two paths agree; `jaccard`; `names`, the cosine of the vectors that the encoder,
 *   as it starts, gives to the texts of the two local hierarchies.
 * - `beta` (0.5 to 1, default 0.75): ratio of two texts with nothing in common. `alpha` (default 1): similarity is raised to it.
 * - `warmUp` (default 0): updates before texts are mixed.
 * - `localHierarchy` (default true); false: one slot, at a mask, for all depths.
 * - `read`, `names`, `maskedHead`: as in `hierverb`.
 * - `compat`: as released, the mean ratio times the mean loss.
 *
 * Deviations: every depth has a mask vector of its own; with `names`, similarities are those of the encoder before training; warm-up counts updates, not
 * epochs; there is no auxiliary masked language model loss (weight 1 as published). With one label per row the best path is decoded, not every label above 0.
 * @throws InputError `METHOD_ENCODER` for the encoder `ngram`; `METHOD_DATA` for one path per row and labels with several parents.
 * @example
 * const model = await train(rows, { method: lhMix({ beta: 1 }), encoder: 'minilm' })
 */
export const lhMix = defineHeadMethod(
  {
    name: 'lh-mix',
    summary:
      'A slot for every depth; texts are mixed the more evenly, the more alike their label paths. Needs an encoder.',
    source: 'Kong et al., LH-Mix: Local hierarchy correlation guided mixup over hierarchical prompt tuning, 2025',
    status: 'partial',
    results: 'docs/results/lh-mix.md',
  },
  options,
  (tree, context) => levelHead(tree, context, 'lh-mix'),
  {
    slots: (given) => {
      const settled = given as Options
      return {
        slots(tree, layout, config) {
          const ends = levelEnds(layout, tree)
          const parts = template(settled, ends.length)
          const masks = parts.flatMap((part, place) => (part === 'mask' ? [place] : []))
          const prompted = reads(settled, config) === 'masks'
          return {
            kind: 'levels',
            prefix: prompted ? parts.length : 0,
            places: prompted ? ends.map((_, level) => masks[level] ?? masks[0]!) : [],
            ends,
            transform: prompted && hasHead(settled, config),
          }
        },
        prepare: (input) => prepare(settled, input),
      }
    },
  },
)

async function prepare(settled: Options, input: SlotInput): Promise<SlotStart> {
  const ends = levelEnds(input.layout, input.tree)
  const { ratio, similarity, beta, alpha, warmUp, compat } = settled
  const prompted = reads(settled, input.config) === 'masks'
  const head = prompted && hasHead(settled, input.config)
  const names = settled.names ?? (head || input.fresh ? 'embeddings' : 'states')
  const compared = similarity === 'names' && (ratio === 'guided' || ratio === 'permuted')
  const objective: LhMixLoss = {
    kind: 'lh-mix',
    ends,
    ratio,
    similarity,
    beta,
    alpha,
    warmUp,
    compat,
    ...(compared ? { names: await labelSetVectors(input) } : {}),
  }
  return {
    initial: new Map([
      prompted
        ? (['slots.prefix.weight', await promptVectors(template(settled, ends.length), input)] as const)
        : (['slots.levels.weight', identityMatrices(ends.length, input.config.hiddenSize)] as const),
      ...(names === 'none' ? [] : ([['slots.output.weight', await labelNameVectors(input, names)]] as const)),
      ...(head ? await maskedHeadTensors(input) : []),
    ]),
    objective,
  }
}
