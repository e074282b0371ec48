/** A trained classifier: label tree, head, scorer, and how scores become answers. Saved as one folder, which `loadClassifier` reads back. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { type Decoder, decoderNames } from '../labels/decode.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { type NodeProbabilities, nodeProbabilities } from '../labels/node-probabilities.ts'
import { type RankedProbabilities, rankedProbabilities } from '../labels/ranked-probabilities.ts'
import { readLabelTree } from '../labels/read-label-tree.ts'
import { recordFile, writeFolderAtomic } from '../util/atomic.ts'
import { InputError } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import type { Scorer } from './scorer.ts'

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

export class Classifier {
  readonly tree: LabelTree
  readonly settings: ClassifierSettings
  readonly scorer: Scorer
  /** What made it: version, command, options, inputs, seed, metrics. Written to `espalier.json`. */
  readonly record: Record<string, unknown>
  /** Ids where predicted paths may end. */
  readonly terminals: Int32Array
  /** Per node id; empty for a model of one path per row. */
  readonly thresholds: Float64Array
  /** Probabilities of tree nodes from one row of logits. */
  readonly probabilities: (logits: Float32Array) => NodeProbabilities
  /** The same from a list of the best units and their logits, for a scorer that ranks. */
  readonly rankedProbabilities: (units: Uint32Array, logits: Float32Array) => RankedProbabilities
  /** How probabilities become labels unless the caller says otherwise. */
  readonly decoder: Decoder

  constructor(tree: LabelTree, settings: ClassifierSettings, scorer: Scorer, record: Record<string, unknown>) {
    this.tree = tree
    this.settings = settings
    this.scorer = scorer
    this.record = record
    this.terminals = Int32Array.from(settings.terminals)
    this.thresholds = Float64Array.from(settings.thresholds ?? [])
    const layout = layoutOf(settings)
    this.probabilities = nodeProbabilities(layout, tree, settings.temperature)
    this.rankedProbabilities = rankedProbabilities(layout, tree, settings.temperature)
    this.decoder = settings.decoder ?? { name: settings.multiLabel ? 'threshold' : 'leaf-up' }
  }

  /**
   * Saves the classifier as a folder, atomically.
   * @throws InputError `OUT_EXISTS` if the folder exists, unless `force` is set and this package wrote it.
   */
  async save(folder: string, options: { force?: boolean } = {}): Promise<void> {
    await writeFolderAtomic(folder, options, (temporary) => this.writeInto(temporary))
  }

  /** Writes the classifier's files into an existing folder. */
  async writeInto(folder: string): Promise<void> {
    await this.scorer.save(folder)
    await writeFile(join(folder, treeFile), `${JSON.stringify(this.tree, null, 1)}\n`)
    await writeFile(join(folder, settingsFile), `${JSON.stringify(this.settings)}\n`)
    await writeFile(join(folder, recordFile), `${JSON.stringify(this.record, null, 2)}\n`)
  }

  /** Frees the scorer's memory. */
  close(): Promise<void> {
    return this.scorer.close()
  }
}

/** Reads tree and settings of a saved classifier and checks that they fit each other. */
export async function readClassifierFiles(folder: string): Promise<{ tree: LabelTree; settings: ClassifierSettings }> {
  const tree = await readLabelTree(join(folder, treeFile))
  const file = join(folder, settingsFile)
  const parsed = v.safeParse(settingsSchema, await readJson(file))
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
  return { tree, settings }
}
