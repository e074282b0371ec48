/** The verb train: labelled texts and a label tree in, a calibrated classifier out. */
import { copyFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Dataset } from '../data/dataset.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import { headTargets } from '../labels/head-targets.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { checkOutputFolder } from '../util/atomic.ts'
import { throwIfAborted } from '../util/errors.ts'
import { version } from '../util/version.ts'
import { tuneRanked, tuneTemperature, tuneThresholds } from './calibrate.ts'
import { Classifier, type ClassifierSettings } from './classifier.ts'
import type { OwnTraining } from './head-method.ts'
import type { TrainOptions } from './options.ts'
import { defaultSeed, type Prepared, prepareTraining } from './prepare-training.ts'
import type { Scorer } from './scorer.ts'
import type { ScorerTraining } from './train-scorer.ts'
import type { LabelledTexts } from './training-data.ts'
import { dropIfEmpty, openWorkFolder, trainLogFile } from './work-folder.ts'

/** Scores tuned on: more dev rows than this many logits in all would only cost memory. */
const maxDevLogits = 20_000_000

/**
 * Trains a classifier.
 * @param data rows with a text and label paths.
 * @returns the classifier, in memory; also saved to `options.out` if given.
 * @throws InputError for bad data, trees and options (`DATA_EMPTY`, `LABEL_UNKNOWN`, `METHOD_DATA`, `OUT_EXISTS`, ...); RunError `LOSS_NAN`;
 *   InterruptedError when the signal fires: with `out`, the work is kept and `resume` continues it.
 * @example
 * const model = await train(await readDataset('tickets.csv', { text: 'body', labels: ['area', 'topic'] }))
 */
export async function train(data: Dataset, options: TrainOptions = {}): Promise<Classifier> {
  if (options.out !== undefined) await checkOutputFolder(options.out, options.force)
  const prepared = await prepareTraining(data, options)
  const work = options.out === undefined ? undefined : await openWorkFolder(options.out, prepared.fingerprint, options)
  for (const warning of prepared.warnings) options.onProgress?.({ step: 'train', done: 0, note: warning })
  const scorer = await trainScorer(prepared, options, work).catch(async (error: unknown) => {
    if (work !== undefined) await dropIfEmpty(work)
    throw error
  })
  throwIfAborted(options.signal)
  const settings = await settle(prepared, scorer, options)
  const model = new Classifier(prepared.tree, settings, scorer, recordOf(prepared, options, scorer))
  if (options.out !== undefined) {
    await model.save(options.out, { force: options.force ?? false })
    if (work !== undefined) {
      await copyFile(join(work, trainLogFile), join(options.out, trainLogFile)).catch(() => undefined)
      await rm(work, { recursive: true, force: true })
    }
  }
  return model
}

async function trainScorer(prepared: Prepared, options: TrainOptions, work: string | undefined): Promise<Scorer> {
  const { tree, method, layout, encoder, train, dev } = prepared
  const shared: OwnTraining = {
    tree,
    layout,
    train,
    dev: dev !== undefined && dev.texts.length > 0 ? dev : undefined,
    options: { threads: availableParallelism(), ...options, seed: options.seed ?? defaultSeed },
    workFolder: work,
  }
  if (method.own) return method.own.train(shared)
  const training: ScorerTraining = { ...shared, method, targets: headTargets(layout, tree, train.labels) }
  if (encoder === 'ngram') return (await import('./train-ngram.ts')).trainNgramScorer(training)
  return (await import('./train-encoder.ts')).trainEncoderScorer(training, encoder)
}

/** Calibrates on the dev rows and writes down how scores become answers. */
export async function settle(
  { tree, context, method, layout, train, dev }: Prepared,
  scorer: Scorer,
  options: TrainOptions,
): Promise<ClassifierSettings> {
  const settings: ClassifierSettings = {
    format: 1,
    method: { name: method.name, options: method.options },
    multiLabel: context.multiLabel,
    layout: {
      activation: layout.activation,
      unitNodes: [...layout.unitNodes],
      groups: layout.groups.map((group) => ({ ...group })),
    },
    terminals: [...context.terminals],
    temperature: 1,
    ...(context.multiLabel ? { thresholds: tree.nodes.map(() => 0.5) } : {}),
    minConfidence: 0,
    ...(options.decoder === undefined ? {} : { decoder: { ...options.decoder } }),
    ...(scorer.maxLength === undefined ? {} : { maxLength: scorer.maxLength }),
  }
  if (!dev || dev.texts.length === 0 || scorer.usage) {
    const { heldOut } = scorer
    if (context.multiLabel && heldOut && heldOut.rows.length > 0) {
      const labels = Array.from(heldOut.rows, (row) => train.labels[row]!)
      settings.thresholds = tuneThresholds(layout, tree, settings.temperature, { labels, logits: heldOut.logits })
    }
    return settings
  }
  if (scorer.rank) return { ...settings, ...(await tuneRankedScorer(scorer, layout, tree, dev, options)) }
  const rows = Math.min(dev.texts.length, Math.max(1, Math.floor(maxDevLogits / layout.unitNodes.length)))
  const labels = dev.labels.slice(0, rows)
  options.onProgress?.({ step: 'calibrate', done: 0, total: rows, unit: 'rows' })
  const logits = await scorer.score(dev.texts.slice(0, rows), options)
  settings.temperature = tuneTemperature(layout, tree, { labels, logits })
  if (context.multiLabel) settings.thresholds = tuneThresholds(layout, tree, settings.temperature, { labels, logits })
  options.onProgress?.({ step: 'calibrate', done: rows, total: rows, unit: 'rows' })
  return settings
}

/** Labels listed for each dev row of a scorer that ranks, and dev rows at most. */
const rankedUnits = 50
const mostRankedRows = 20_000

async function tuneRankedScorer(
  scorer: Scorer,
  layout: HeadLayout,
  tree: LabelTree,
  dev: LabelledTexts,
  options: TrainOptions,
): Promise<Pick<ClassifierSettings, 'temperature' | 'thresholds'>> {
  const labels = dev.labels.slice(0, mostRankedRows)
  options.onProgress?.({ step: 'calibrate', done: 0, total: labels.length, unit: 'rows' })
  const ranked = await scorer.rank!(dev.texts.slice(0, mostRankedRows), rankedUnits, options)
  const tuned = tuneRanked(layout, tree, { labels, ranked })
  options.onProgress?.({ step: 'calibrate', done: labels.length, total: labels.length, unit: 'rows' })
  return tuned
}

function recordOf(prepared: Prepared, options: TrainOptions, scorer: Scorer): Record<string, unknown> {
  const { epochs, lr, batch, maxLength, maxMinutes, unknownLabels } = options
  return {
    espalier: version,
    verb: 'train',
    ...(options.command === undefined ? {} : { command: options.command }),
    encoder: prepared.encoder,
    method: {
      name: prepared.method.name,
      options: prepared.method.options,
      ...(prepared.why === undefined ? {} : { why: prepared.why }),
    },
    ...(options.loss === undefined ? {} : { loss: options.loss }),
    options: { epochs, lr, batch, maxLength, maxMinutes, unknownLabels },
    seed: options.seed ?? defaultSeed,
    inputs: prepared.inputs,
    rows: { train: prepared.train.texts.length, dev: prepared.dev?.texts.length ?? 0 },
    labels: { count: prepared.tree.size, levels: prepared.tree.depth, leaves: prepared.tree.leaves.length },
    parameters: scorer.parameters,
    ...(scorer.training === undefined ? {} : { training: scorer.training }),
  }
}
