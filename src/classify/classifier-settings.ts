/** What `classifier.json` says: how the scores of a model become answers. Read without a file system, so that browsers can. */
import * as v from 'valibot'
import { decoderNames } from '../labels/decode.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'

/** The file that says how scores become answers. */
export const settingsFile = 'classifier.json'
export const treeFile = 'labels.json'

const whole = v.pipe(v.number(), v.integer(), v.minValue(0))
const probability = v.pipe(v.number(), v.minValue(0), v.maxValue(1))

const settingsSchema = v.object({
  format: v.literal(1),
  method: v.object({ name: v.string(), options: v.record(v.string(), v.unknown()) }),
  /** Rows may have several label paths: labels are then chosen by thresholds, not as one path. */
  multiLabel: v.boolean(),
  layout: v.object({
    activation: v.picklist(['softmax', 'sigmoid']),
    unitNodes: v.array(whole),
    groups: v.array(v.object({ parent: v.pipe(v.number(), v.integer(), v.minValue(-1)), start: whole, end: whole })),
  }),
  /** Ids where predicted paths may end. */
  terminals: v.array(whole),
  /** Divides the logits; tuned on dev rows. */
  temperature: v.pipe(v.number(), v.gtValue(0)),
  /** Per node id, with `multiLabel` only. */
  thresholds: v.optional(v.array(probability)),
  minConfidence: probability,
  /** How probabilities become labels. Default: `threshold` with `multiLabel`, else `leaf-up`. */
  decoder: v.optional(
    v.object({
      name: v.picklist(decoderNames),
      beam: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    }),
  ),
  /** Tokens per text (encoders). */
  maxLength: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
})

/** What `classifier.json` holds. */
export type ClassifierSettings = v.InferOutput<typeof settingsSchema>

/** The settings' layout as the trainers and decoders use it. */
export function layoutOf(settings: ClassifierSettings): HeadLayout {
  return { ...settings.layout, unitNodes: Int32Array.from(settings.layout.unitNodes) }
}

/** The settings in a parsed `classifier.json`. Throws InputError `CLASSIFIER_FORMAT` if they are no settings, or do not fit the tree. */
export function parseSettings(json: unknown, tree: LabelTree, file = settingsFile): ClassifierSettings {
  const parsed = v.safeParse(settingsSchema, json)
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw new InputError('CLASSIFIER_FORMAT', issue.message, {
      where: { file, key: v.getDotPath(issue) ?? '' },
      help: 'the file was changed or made by another version: train the model again',
    })
  }
  const settings = parsed.output
  const { layout, terminals, thresholds } = settings
  const nodes = [...layout.unitNodes, ...terminals]
  const fits =
    nodes.every((node) => node < tree.size) &&
    layout.groups.every(
      (group, index) => group.start === (layout.groups[index - 1]?.end ?? 0) && group.end > group.start,
    ) &&
    layout.groups.at(-1)?.end === layout.unitNodes.length &&
    terminals.length > 0 &&
    (settings.multiLabel ? thresholds?.length === tree.size : true)
  if (!fits) {
    throw new InputError('CLASSIFIER_FORMAT', `${settingsFile} does not fit ${treeFile}`, {
      where: { file },
      help: 'one of them was changed: restore it, or train the model again',
    })
  }
  return settings
}
