/** Everything that is settled before training starts: rows, tree, dev rows, method, layout, and what identifies the run. */
import type { Dataset } from '../data/dataset.ts'
import { splitRows } from '../data/split.ts'
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'
import { sha256OfJson } from '../util/hash.ts'
import { version } from '../util/version.ts'
import { checkLoss } from './check-loss.ts'
import { chooseMethod } from './choose-method.ts'
import type { HeadMethod } from './head-method.ts'
import type { TrainOptions } from './options.ts'
import { type LabelledTexts, readTrainingData, type TrainingData } from './training-data.ts'

export const defaultSeed = 0
/** Share of the rows held out when a dev set is needed and none is given. */
const devShare = 0.1
export interface Prepared extends TrainingData {
  method: HeadMethod
  /** Why this method, where it was not named. */
  why: string | undefined
  layout: HeadLayout
  encoder: string
  /** Identifies the run: same rows, tree and options. */
  fingerprint: string
  inputs: { file: string; bytes: number; sha256: string }[]
}

export async function prepareTraining(data: Dataset, options: TrainOptions): Promise<Prepared> {
  const { seed = defaultSeed, encoder = 'ngram' } = options
  if (!Number.isSafeInteger(seed))
    throw new InputError('OPTION_RANGE', `Expected seed to be a whole number, received ${seed}`, {
      where: { key: 'seed' },
    })
  const read = await readTrainingData(data, options)
  const { tree, context } = read
  // The linear model scores training rows before it is trained on them, and is tuned on those; encoders need dev rows.
  const split = read.dev === undefined && encoder !== 'ngram' ? holdOut(read.train, tree, seed) : read
  const chosen =
    options.method === undefined ? chooseMethod(tree, context, encoder, read.train.texts.length) : undefined
  const method = options.method ?? chosen!.method
  if (method.slots && encoder === 'ngram')
    throw new InputError('METHOD_ENCODER', `${method.name} expects an encoder, received ngram`, {
      where: { key: 'encoder' },
      help: 'add --encoder mini to train a small one, or --encoder DIR or hf:ORG/NAME to fine-tune one',
    })
  const layout = method.layout(tree, context)
  if (options.loss) checkLoss(options.loss, method, encoder, layout, tree)
  const inputs = [...(await data.hash(options)), ...(options.dev ? await options.dev.hash(options) : [])]
  const { epochs, lr, batch, maxLength, maxMinutes, unknownLabels, loss } = options
  const fingerprint = sha256OfJson({
    version,
    inputs: inputs.map(({ sha256 }) => sha256),
    tree,
    encoder,
    method: { name: method.name, options: method.options },
    options: { seed, epochs, lr, batch, maxLength, maxMinutes, unknownLabels, loss },
  })
  return { ...read, ...split, method, why: chosen?.why, layout, encoder, fingerprint, inputs }
}

/** A stratified tenth of the rows as dev rows. */
function holdOut(rows: LabelledTexts, tree: LabelTree, seed: number): { train: LabelledTexts; dev: LabelledTexts } {
  const numbered = rows.texts.map((text, row) => ({ row, text, labels: rows.labels[row]!.map((id) => tree.path(id)) }))
  const { train, dev } = splitRows(numbered, { dev: devShare, seed })
  const pick = (part: typeof numbered): LabelledTexts => ({
    texts: part.map(({ text }) => text),
    labels: part.map(({ row }) => rows.labels[row]!),
  })
  return { train: pick(train), dev: pick(dev) }
}
