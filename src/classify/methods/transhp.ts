/** TransHP on text: prompts of the coarse labels stand among the tokens in a layer of the encoder (Wang et al., 2023, for images). */
import * as v from 'valibot'
import type { HeadLayout } from '../../labels/head-layout.ts'
import type { LabelTree } from '../../labels/label-tree.ts'
import { InputError } from '../../util/errors.ts'
import { defineHeadMethod } from '../head-method.ts'
import { levelEnds, levelHead } from '../level-head.ts'

const options = v.object({
  blocks: v.optional(v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(1))), v.minLength(1))),
  weight: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100)), 0.1),
  mostPrompts: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024)), 64),
  prompts: v.optional(v.boolean(), true),
})
type Options = v.InferOutput<typeof options>

/** Units of the levels above the last that are few enough for prompts. */
function promptedLevels({ mostPrompts }: Options, layout: HeadLayout, tree: LabelTree): number[] {
  const ends = levelEnds(layout, tree)
  const sizes = ends.slice(0, -1).map((end, level) => end - (ends[level - 1] ?? 0))
  const large = sizes.findIndex((size) => size > mostPrompts)
  return large < 0 ? sizes : sizes.slice(0, large)
}

/**
 * Every label of a coarse level has a prompt, a vector that stands among the tokens in one layer; attention learns to draw in that of the text's label, and
 * later layers specialise. The layer's answer at a prompt scores its label; the last level is read off the first token. Units as in `hierverb`.
 * - `blocks`: the layer, from 1, of each prompted level. Default: the last one in the layer before the last, those above it in the layers before.
 * - `weight` (0 to 100, default 0.1): weight of the loss of every level above the last.
 * - `mostPrompts` (1 to 1024, default 64): levels with more labels, and those below them, have no prompts.
 * - `prompts` (default true); false: coarse labels are read off the first token too, for comparison.
 * @throws InputError `METHOD_ENCODER` for the encoder `ngram`, or one with too few layers; `METHOD_DATA` for a tree of one level, or whose first level has
 *   more labels than `mostPrompts`.
 * @example
 * const model = await train(rows, { method: transhp(), encoder: 'minilm' })
 */
export const transhp = defineHeadMethod(
  {
    name: 'transhp',
    summary:
      'Prompts of the coarse labels stand among the tokens inside the encoder, which draws in that of the text. Needs an encoder.',
    source: 'Wang et al., TransHP: Image classification with hierarchical prompting, 2023',
    status: 'works',
    results: 'docs/results/transhp.md',
  },
  options,
  (tree, context) => {
    if (tree.depth < 2)
      throw new InputError('METHOD_DATA', 'transhp expects a tree of at least two levels', {
        help: 'use --method flat, or give labels as paths',
      })
    return levelHead(tree, context, 'transhp')
  },
  {
    slots: (given) => {
      const settled = given as Options
      return {
        slots(tree, layout, { family, layers }) {
          if (family === 'gru')
            throw new InputError('METHOD_ENCODER', 'transhp expects a transformer, received a gru encoder', {
              where: { key: 'encoder' },
              help: 'use --encoder mini, or the folder of a BERT checkpoint',
            })
          const sizes = settled.prompts ? promptedLevels(settled, layout, tree) : []
          if (settled.prompts && sizes.length === 0)
            throw new InputError(
              'METHOD_DATA',
              `transhp expects at most ${settled.mostPrompts} labels on the first level, the tree has more`,
              { help: 'raise mostPrompts, or use --method flat' },
            )
          const blocks = settled.blocks ?? sizes.map((_, level) => layers - sizes.length + level)
          const fits = (block: number, level: number) => block <= layers && block > (blocks[level - 1] ?? 0)
          if (settled.prompts && !(blocks.length === sizes.length && blocks.every(fits)))
            throw new InputError(
              'METHOD_ENCODER',
              `transhp expects ${sizes.length} ascending blocks from 1 to ${layers}, received ${blocks.join(', ')}`,
              {
                where: { key: 'blocks' },
                help: 'give one block for each prompted level, or an encoder of more layers',
              },
            )
          return {
            kind: 'layer-prompts',
            prompts: sizes.map((units, level) => ({ layer: blocks[level]! - 1, units })),
          }
        },
        prepare({ tree, layout }) {
          const ends = levelEnds(layout, tree)
          const weights = ends.map((_, level) => (level === ends.length - 1 ? 1 : settled.weight))
          return { objective: { kind: 'levels', ends, weights }, defaults: { labelSmoothing: 0.1 } }
        },
      }
    },
  },
)
