/** What the checks of hierarchical methods share: rows by seed, variants side by side, one line of means a variant. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { saveEncoderClassifier } from '../../dist/classify/encoder-scorer.js'
import { idSets } from '../../dist/evaluate/id-sets.js'
import { computeMetrics } from '../../dist/evaluate/metrics.js'
import { datasetOf, type HeadMethod, type LabelTree, type Row, train } from '../../dist/index.js'
import { decode } from '../../dist/labels/decode.js'
import { encoderModel, initialWeights, miniConfig } from '../../dist/models/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { tokenizerFrom } from '../../dist/text/tokenizer.js'
import { trainWordPiece } from '../../dist/text/train-wordpiece.js'
import { mean, spread } from '../results-page.ts'

export type Decoder = 'leaf-up' | 'joint-path' | 'top-down' | 'per-level-argmax'

export interface Outcome {
  microF1: number
  macroF1: number
  constrainedMicro: number
  exactPath: number
  /** Accuracy of the first and of the last level. */
  top: number
  leaf: number
}
export const measures = ['microF1', 'macroF1', 'constrainedMicro', 'exactPath', 'top', 'leaf'] as const
export const measureNames = ['micro-F1', 'macro-F1', 'C-micro', 'exact path', 'first level', 'last level']

export interface Settings {
  labels: LabelTree
  encoder: string
  epochs: number
  lr: number
  batch: number
  seed: number
  dev: readonly Row[]
}

/** Trains one variant and answers the test rows by each decoder. */
export async function measure(
  rows: readonly Row[],
  test: readonly Row[],
  method: HeadMethod,
  { dev, ...settings }: Settings,
  decoders: readonly Decoder[] = ['leaf-up'],
): Promise<Map<Decoder, Outcome>> {
  const model = await train(datasetOf([...rows]), { ...settings, method, threads: 1, dev: datasetOf([...dev]) })
  const { tree } = model
  const gold = idSets(test.map(({ labels }) => labels.map((path) => tree.resolve(path))))
  const logits = await model.scorer.score(test.map(({ text }) => text))
  const units = model.scorer.units
  const probabilities = test.map((_, row) => model.probabilities(logits.subarray(row * units, (row + 1) * units)))
  const found = new Map<Decoder, Outcome>()
  for (const name of decoders) {
    const predicted = idSets(probabilities.map((one) => decode({ name }, tree, model.terminals, model.thresholds, one)))
    const metrics = computeMetrics({ tree, gold, predicted })
    found.set(name, {
      microF1: metrics.microF1,
      macroF1: metrics.macroF1,
      constrainedMicro: metrics.pathConstrained.microF1,
      exactPath: metrics.exactPath,
      top: metrics.levels[0]!.accuracy,
      leaf: metrics.levels.at(-1)!.accuracy,
    })
  }
  await model.close()
  return found
}

/** The outcomes of one seed and variant, measured once and kept in a folder, so that a script can be stopped, or seeds measured side by side. */
export async function kept<T>(folder: string, key: unknown, measured: () => Promise<T>): Promise<T> {
  const file = join(folder, `${createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16)}.json`)
  const known = await readFile(file, 'utf8').catch(() => undefined)
  if (known !== undefined) return JSON.parse(known) as T
  const value = await measured()
  await mkdir(folder, { recursive: true })
  await writeFile(file, JSON.stringify(value))
  return value
}

/** Some of the rows, in an order of the seed. */
export const pick = (rows: readonly Row[], count: number, seed: number): Row[] =>
  Array.from(permutation(rows.length, random(seed, 'pick')).subarray(0, count), (row) => rows[row]!)

/** A small transformer with fresh weights and a vocabulary of the texts, as a checkpoint folder. */
export async function freshEncoder(
  folder: string,
  texts: readonly string[],
  shape: { layers: number; hiddenSize: number; heads: number },
  seed: number,
): Promise<string> {
  const tokenizer = await tokenizerFrom(trainWordPiece([...texts], { vocabularySize: 4000 }))
  const config = miniConfig({
    vocabularySize: tokenizer.vocabularySize,
    padTokenId: tokenizer.padId,
    maxLength: 128,
    ...shape,
  })
  const model = encoderModel(config)
  const made = join(folder, `encoder-${seed}`)
  await mkdir(made, { recursive: true })
  await saveEncoderClassifier(made, { model, weights: initialWeights(model, seed), tokenizer, config: config.source })
  return made
}

/** A cell for each measure, in percent. */
export const cells = (outcomes: readonly Outcome[]): string[] =>
  measures.map((measure) =>
    spread(
      outcomes.map((outcome) => 100 * outcome[measure]),
      1,
    ),
  )

/** Mean difference of two variants in one measure, in points. */
export const gain = (a: readonly Outcome[], b: readonly Outcome[], measure: keyof Outcome): number =>
  100 * (mean(a.map((outcome) => outcome[measure])) - mean(b.map((outcome) => outcome[measure])))

/** `met` or `not met`, with the number. */
export const verdict = (claim: string, value: number, least: number): string =>
  `- ${claim}: ${value >= 0 ? '+' : ''}${value.toFixed(1)}, asked for at least ${least >= 0 ? '+' : ''}${least}: **${value >= least ? 'met' : 'not met'}**`
