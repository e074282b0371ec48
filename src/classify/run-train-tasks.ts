/** The work of joint training: tasks prepared one by one, their heads joined into one layout, one training, a calibration and a head's files for each. */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { writeCheckpointInto } from '../checkpoint/write-checkpoint.ts'
import { writeSafetensors } from '../checkpoint/write-safetensors.ts'
import type { Dataset } from '../data/dataset.ts'
import { headTargets } from '../labels/head-targets.ts'
import { type JointLayout, joinLayouts, joinTargets } from '../labels/joint-layout.ts'
import { type EncoderModel, encoderModel } from '../models/index.ts'
import { saveTokenizer } from '../text/tokenizer.ts'
import { packTokens } from '../train/batches.ts'
import type { EncoderJob, EncoderResult } from '../train/encoder-job.ts'
import { trainEncoder } from '../train/train-encoder.ts'
import { checkOutputFolder, recordFile, writeFolderAtomic } from '../util/atomic.ts'
import { InputError } from '../util/errors.ts'
import { sha256OfJson } from '../util/hash.ts'
import { version } from '../util/version.ts'
import { type ClassifierSettings, settingsFile, treeFile } from './classifier.ts'
import { classifierConfig, defaultMaxLength, encoderScorer } from './encoder-scorer.ts'
import { headConfigFile, headFile, headsFolder, loadTasks, type MultiTaskModel } from './load-tasks.ts'
import { adjustmentOf } from './logit-adjustment.ts'
import { planEncoder } from './plan-encoder.ts'
import { defaultSeed, type Prepared, prepareTraining } from './prepare-training.ts'
import type { Scorer } from './scorer.ts'
import { settle } from './train.ts'
import { type EncoderStart, encoderStart, loopOptions } from './train-encoder.ts'
import type { TrainTasksOptions, TrainTasksPlan } from './train-tasks.ts'
import type { LabelledTexts } from './training-data.ts'
import { dropIfEmpty, openWorkFolder, trainLogFile } from './work-folder.ts'

interface PreparedTask extends Prepared {
  readonly name: string
}

interface Joint {
  readonly tasks: readonly PreparedTask[]
  readonly joint: JointLayout
}

const taskName = /^[\p{L}\p{N}_-][\p{L}\p{N}._-]*$/u
/** Keys of a config.json that belong to a head. */
const headKeys = ['id2label', 'label2id', 'problem_type', 'architectures']

/** See `trainTasks`. */
export async function runTrainTasks(
  data: Readonly<Record<string, Dataset>>,
  options: TrainTasksOptions,
): Promise<MultiTaskModel> {
  await checkOutputFolder(options.out, options.force)
  const prepared = await prepareTasks(data, options)
  const { tasks, joint } = prepared
  const fingerprint = sha256OfJson(tasks.map(({ name, fingerprint }) => [name, fingerprint]))
  const work = await openWorkFolder(options.out, fingerprint, options)
  for (const { name, warnings } of tasks)
    for (const warning of warnings) options.onProgress?.({ step: 'train', done: 0, note: `${name}: ${warning}` })
  const threads = options.threads ?? availableParallelism()
  const start = await encoderStart(
    tasks[0]!.encoder,
    tasks.flatMap(({ train }) => train.texts),
    options,
  )
  const maxLength = Math.min(options.maxLength ?? defaultMaxLength, start.config.maxLength)
  const job = jobOf(prepared, start, maxLength, work, { ...options, threads })
  const result = await trainEncoder(job, options).catch(async (error: unknown) => {
    await dropIfEmpty(work)
    throw error
  })
  const model = encoderModel(result.config, { units: joint.layout.unitNodes.length })
  const parts = { model, weights: result.weights, tokenizer: start.tokenizer, maxLength, config: {}, threads }
  const scorer = await encoderScorer(parts, options)
  try {
    const settings: ClassifierSettings[] = []
    for (const [t, task] of tasks.entries()) {
      const { name: _, ...rest } = task
      settings.push(await settle(rest, partOf(scorer, joint.parts[t]!), withoutLabels(options)))
    }
    await writeFolderAtomic(options.out, { force: options.force ?? false }, async (folder) => {
      await writeEncoder(folder, model, result, start)
      for (const [t, task] of tasks.entries())
        await writeHead(folder, task, settings[t]!, model, result, start, joint.parts[t]!)
      await copyFile(join(work, trainLogFile), join(folder, trainLogFile)).catch(() => undefined)
      const record = recordOf(prepared, options, result, scorer.parameters)
      await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`)
    })
  } finally {
    await scorer.close()
  }
  await rm(work, { recursive: true, force: true })
  return loadTasks(options.out, { threads, ...(options.signal ? { signal: options.signal } : {}) })
}

const withoutLabels = ({ labels: _, dev: __, ...rest }: TrainTasksOptions) => rest

async function prepareTasks(data: Readonly<Record<string, Dataset>>, options: TrainTasksOptions): Promise<Joint> {
  const names = Object.keys(data).sort()
  if (names.length === 0)
    throw new InputError('DATA_EMPTY', 'There is no task to train', { help: 'give the rows of at least one task' })
  for (const name of names)
    if (!taskName.test(name))
      throw new InputError('TASK_NAME', `Task name "${name}" cannot name a folder`, {
        help: 'use letters, digits, ".", "_" and "-"',
      })
  for (const [what, given] of Object.entries({ labels: options.labels, dev: options.dev }))
    for (const name of Object.keys(given ?? {}))
      if (!names.includes(name))
        throw new InputError('TASK_UNKNOWN', `There are ${what} of task "${name}", and no rows`, {
          help: `tasks: ${names.join(', ')}`,
        })
  const encoder = options.encoder ?? 'mini'
  if (encoder === 'ngram')
    throw new InputError('METHOD_ENCODER', 'The ngram model has no encoder that tasks could share', {
      help: 'choose --encoder mini or a checkpoint',
    })
  const shared = withoutLabels(options)
  const tasks: PreparedTask[] = []
  for (const name of names) {
    const [labels, dev] = [options.labels?.[name], options.dev?.[name]]
    const prepared = await prepareTraining(data[name]!, {
      ...shared,
      encoder,
      ...(labels === undefined ? {} : { labels }),
      ...(dev === undefined ? {} : { dev }),
    })
    if (prepared.method.own || 'slots' in prepared.method)
      throw new InputError('METHOD_TASKS', `Method ${prepared.method.name} is no head on an encoder that tasks share`, {
        help: 'use flat, per-node or conditional-softmax',
      })
    tasks.push({ name, ...prepared })
  }
  const joint = joinLayouts(tasks.map(({ name, layout, tree }) => ({ name, layout, nodes: tree.size })))
  return { tasks, joint }
}

function jobOf(
  { tasks, joint }: Joint,
  { source, tokenizer, defaults }: EncoderStart,
  maxLength: number,
  workFolder: string,
  options: TrainTasksOptions,
): EncoderJob {
  const tokens = (parts: readonly LabelledTexts[]) =>
    packTokens(parts.flatMap(({ texts }) => texts.map((text) => tokenizer.encode(text, maxLength))))
  const targetsOf = (parts: readonly LabelledTexts[]) =>
    parts.map(({ labels }, t) => headTargets(tasks[t]!.layout, tasks[t]!.tree, labels))
  const train = tasks.map((task) => task.train)
  const targets = targetsOf(train)
  const adjustments = tasks.map(({ layout, method }, t) => adjustmentOf(layout, targets[t]!, method.logitAdjustment))
  const dev = tasks.map((task) => task.dev ?? { texts: [], labels: [] })
  return {
    source,
    pooling: 'head',
    layout: joint.layout,
    train: { rows: tokens(train), targets: joinTargets(joint, targets) },
    ...(dev.some(({ texts }) => texts.length > 0)
      ? { dev: { rows: tokens(dev), targets: joinTargets(joint, targetsOf(dev)) } }
      : {}),
    ...(adjustments.some((values) => values !== undefined)
      ? {
          adjustment: Float32Array.from(
            adjustments.flatMap((values, t) =>
              Array.from(values ?? new Float32Array(tasks[t]!.layout.unitNodes.length)),
            ),
          ),
        }
      : {}),
    options: loopOptions(defaults, withoutLabels(options)),
    workFolder,
    resume: options.resume ?? false,
  }
}

/** The scorer of one task: its columns of the joint logits. */
function partOf(scorer: Scorer, { start, end }: JointLayout['parts'][number]): Scorer {
  const units = end - start
  return {
    ...scorer,
    units,
    async score(texts, run) {
      const all = await scorer.score(texts, run)
      const part = new Float32Array(texts.length * units)
      for (let row = 0; row < texts.length; row++)
        part.set(all.subarray(row * scorer.units + start, row * scorer.units + end), row * units)
      return part
    },
  }
}

const isClassifier = ({ part }: EncoderModel['parameters'][number]): boolean => part === 'classifier'

async function writeEncoder(
  folder: string,
  model: EncoderModel,
  { weights }: EncoderResult,
  { config, tokenizer }: EncoderStart,
): Promise<void> {
  const tensors = model.parameters
    .filter((parameter) => !isClassifier(parameter))
    .map(({ name, shape }) => ({ name, dtype: 'F32' as const, shape: [...shape], data: weights.get(name)! }))
  const { id2label: _, label2id: __, problem_type: ___, ...own } = config.source
  await writeCheckpointInto(folder, { config: own, tensors, metadata: { format: 'pt' } }, { checkFinite: true })
  await saveTokenizer(tokenizer, folder)
}

/** The files of a task's head: its rows of the joint classifier, its label names, its tree and its settings. */
async function writeHead(
  folder: string,
  { name, tree, layout }: PreparedTask,
  settings: ClassifierSettings,
  model: EncoderModel,
  { weights, config }: EncoderResult,
  start: EncoderStart,
  part: JointLayout['parts'][number],
): Promise<void> {
  const target = join(folder, headsFolder, name)
  await mkdir(target, { recursive: true })
  const tensors = model.parameters.filter(isClassifier).map((parameter) => {
    const rest = parameter.shape.slice(1)
    const width = rest.reduce((product, size) => product * size, 1)
    const data = weights.get(parameter.name)!.slice(part.start * width, part.end * width)
    return { name: parameter.name, dtype: 'F32' as const, shape: [part.end - part.start, ...rest], data }
  })
  await writeSafetensors(join(target, headFile), tensors)
  const whole = classifierConfig({ ...config, source: start.config.source }, layout, tree)
  const kept = Object.fromEntries(headKeys.map((key) => [key, whole[key]]))
  await writeFile(join(target, headConfigFile), `${JSON.stringify({ model: name, ...kept }, null, 2)}\n`)
  await writeFile(join(target, treeFile), `${JSON.stringify(tree, null, 1)}\n`)
  await writeFile(join(target, settingsFile), `${JSON.stringify(settings)}\n`)
}

const methodOf = ({ method, why }: PreparedTask) => ({
  name: method.name,
  options: method.options,
  ...(why === undefined ? {} : { why }),
})

const labelsOf = ({ tree, layout, context }: PreparedTask) => ({
  count: tree.size,
  levels: tree.depth,
  leaves: tree.leaves.length,
  units: layout.unitNodes.length,
  multiLabel: context.multiLabel,
})

function recordOf(
  { tasks }: Joint,
  options: TrainTasksOptions,
  { step, stoppedBy, best }: EncoderResult,
  parameters: number,
): Record<string, unknown> {
  const { epochs, lr, batch, maxLength, maxMinutes, unknownLabels } = options
  return {
    espalier: version,
    verb: 'train',
    ...(options.command === undefined ? {} : { command: options.command }),
    encoder: tasks[0]!.encoder,
    options: { epochs, lr, batch, maxLength, maxMinutes, unknownLabels },
    seed: options.seed ?? defaultSeed,
    heads: Object.fromEntries(
      tasks.map((task) => [
        task.name,
        {
          method: methodOf(task),
          rows: { train: task.train.texts.length, dev: task.dev?.texts.length ?? 0 },
          labels: labelsOf(task),
          inputs: task.inputs,
        },
      ]),
    ),
    parameters,
    training: { steps: step, stoppedBy, ...(best === undefined ? {} : { best }) },
  }
}

/** See `planTrainTasks`. */
export async function runPlanTasks(
  data: Readonly<Record<string, Dataset>>,
  options: TrainTasksOptions,
): Promise<TrainTasksPlan> {
  await checkOutputFolder(options.out, options.force)
  const { tasks, joint } = await prepareTasks(data, options)
  const { encoder } = tasks[0]!
  const cost = await planEncoder({
    encoder,
    units: joint.layout.unitNodes.length,
    slots: () => undefined,
    texts: tasks.flatMap(({ train }) => train.texts),
    options: withoutLabels(options),
    threads: options.threads ?? availableParallelism(),
  })
  const { steps, parameters, peakMemoryBytes, seconds, weightBytes } = cost
  return {
    encoder,
    tasks: tasks.map((task) => ({
      task: task.name,
      method: methodOf(task),
      rows: task.train.texts.length,
      devRows: task.dev?.texts.length ?? 0,
      labels: labelsOf(task),
      inputs: task.inputs,
      warnings: task.warnings,
    })),
    steps,
    parameters,
    peakMemoryBytes,
    seconds,
    writes: [{ file: options.out, bytes: weightBytes }],
  }
}
