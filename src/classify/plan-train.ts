/** The plan of a training run: what would be read, trained and written, what it would cost, and what is odd about the data. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Dataset } from '../data/dataset.ts'
import type { EncoderConfig } from '../models/encoder.ts'
import { checkOutputFolder } from '../util/atomic.ts'
import type { TrainOptions, TrainPlan } from './options.ts'
import type { TrainingCost } from './plan-encoder.ts'
import { planNgram } from './plan-ngram.ts'
import { defaultSeed, type Prepared, prepareTraining } from './prepare-training.ts'

/**
 * Reads the data and says what `train` with the same options would do; trains and writes nothing.
 * @throws the errors that `train` would throw before it starts.
 * @example
 * const plan = await planTrain(await readDataset('tickets.csv'), { out: 'model' })
 * plan.warnings // ['2 of 40 leaves have no training row (billing › refunds, ...)']
 */
export async function planTrain(data: Dataset, options: TrainOptions = {}): Promise<TrainPlan> {
  if (options.out !== undefined) await checkOutputFolder(options.out, options.force)
  const prepared = await prepareTraining(data, options)
  const { tree, context, method, layout, encoder, train, dev, inputs, warnings } = prepared
  const threads = options.threads ?? availableParallelism()
  const cost =
    method.own !== undefined
      ? await method.own.plan({ tree, layout, train, threads, encoder, seed: options.seed ?? defaultSeed })
      : encoder === 'ngram'
        ? planNgram(layout, train.texts, threads)
        : await encoderCost(prepared, options)
  const write = (name: string, bytes: number) => ({
    file: options.out === undefined ? name : join(options.out, name),
    bytes,
  })
  return {
    encoder,
    method: {
      name: method.name,
      options: method.options,
      ...(prepared.why === undefined ? {} : { why: prepared.why }),
    },
    ...(options.loss === undefined ? {} : { loss: { name: options.loss.name, options: { ...options.loss.options } } }),
    rows: train.texts.length,
    devRows: dev?.texts.length ?? 0,
    labels: {
      count: tree.size,
      levels: tree.depth,
      leaves: tree.leaves.length,
      units: layout.unitNodes.length,
      multiLabel: context.multiLabel,
    },
    inputs,
    steps: cost.steps,
    parameters: cost.parameters,
    peakMemoryBytes: cost.peakMemoryBytes,
    seconds: cost.seconds,
    writes: [write('model.safetensors', cost.weightBytes), write('labels.json', JSON.stringify(tree).length)],
    warnings: [...warnings, ...duplicates(prepared), ...(cost.notes ?? [])],
  }
}

function duplicates({ train, dev }: Prepared): string[] {
  const seen = new Map<string, string>()
  let repeated = 0
  let contradicted = 0
  for (const [row, text] of train.texts.entries()) {
    const labels = train.labels[row]!.join()
    const before = seen.get(text)
    if (before === undefined) seen.set(text, labels)
    else if (before === labels) repeated++
    else contradicted++
  }
  const leaked = dev?.texts.filter((text) => seen.has(text)).length ?? 0
  return [
    ...(repeated > 0 ? [`${repeated} training rows repeat an earlier one`] : []),
    ...(contradicted > 0 ? [`${contradicted} training rows repeat an earlier text with another label`] : []),
    ...(leaked > 0 ? [`${leaked} dev rows have a text that is also a training row`] : []),
  ]
}

async function encoderCost(
  { encoder, method, tree, layout, train }: Prepared,
  options: TrainOptions,
): Promise<TrainingCost> {
  const { planEncoder } = await import('./plan-encoder.ts')
  const threads = options.threads ?? availableParallelism()
  const slots = (config: EncoderConfig) => method.slots?.slots(tree, layout, config)
  return planEncoder({ encoder, units: layout.unitNodes.length, slots, texts: train.texts, options, threads })
}
