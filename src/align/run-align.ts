/** The work of the verb align: texts drawn, vectors of both encoders, heads fitted, the folder written. */
import { cp, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeSafetensors } from '../checkpoint/write-safetensors.ts'
import type { Dataset } from '../data/dataset.ts'
import { type Matrix, MatrixKernels } from '../tensor/linear-algebra/index.ts'
import { permutation, random } from '../tensor/random.ts'
import { checkOutputFolder, recordFile, writeFolderAtomic } from '../util/atomic.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import { didYouMean } from '../util/suggest.ts'
import { version } from '../util/version.ts'
import type { AlignOptions, AlignResult, TaskAlignment } from './align.ts'
import { logitsOf } from './distill-head.ts'
import { ftClassifier } from './methods/ft-classifier.ts'
import { type LinearHead, procrustes } from './procrustes.ts'
import { openJudge, type TaskScores } from './task-scores.ts'
import { openVectors, readOwnHead, readTaskHead, type TaskHead } from './task-vectors.ts'

/** Other texts measured on at most. */
const mostOthers = 500

/** See `align`. */
export async function runAlign(
  folder: string,
  data: Readonly<Record<string, Dataset>>,
  options: AlignOptions,
): Promise<AlignResult> {
  const { method = ftClassifier(), seed = 0, threads = 1 } = options
  await checkOutputFolder(options.out, options.force)
  const experts = await expertsOf(folder, Object.keys(data), options.experts)
  for (const task of Object.keys(options.test ?? {}))
    if (!(task in data))
      throw new InputError('TASK_UNKNOWN', `There are rows to measure task "${task}" on, and none to align it with`, {
        help: `tasks: ${Object.keys(data).join(', ')}`,
      })
  const run = { ...(options.signal ? { signal: options.signal } : {}) }
  const kernels = await MatrixKernels.open()
  const merged = await openVectors(folder, { ...run, threads })
  const aligned: { task: string; before: TaskHead; head: LinearHead }[] = []
  const reports: TaskAlignment[] = []
  const started = performance.now()
  try {
    for (const [done, [task, rows]] of Object.entries(data).entries()) {
      throwIfAborted(options.signal)
      options.onProgress?.({ step: 'align', done, total: experts.size, unit: 'tasks' })
      const before = await readTaskHead(folder, task)
      const judge = await openJudge(join(folder, 'heads', task))
      const drawn = await drawTexts(rows, method.shots, seed, task)
      const others = options.test?.[task] ? await labelledTexts(options.test[task], task) : drawn.others
      const gold = others.map(({ paths, at }) => paths.map((path) => judge.tree.resolve(path, at)))
      const expert = await openVectors(experts.get(task)!, { ...run, threads })
      try {
        const own = await readOwnHead(experts.get(task)!)
        const begun = performance.now()
        const vectors = async (part: readonly LabelledText[]) => {
          const texts = part.map(({ text }) => text)
          return {
            merged: await merged.vectors(texts, before.maxLength, run),
            expert: await expert.vectors(texts, before.maxLength, run),
          }
        }
        const few = await vectors(drawn.shots)
        const more = others.length > 0 ? await vectors(others) : undefined
        checkFit(before.head, own, few.merged, experts.get(task)!)
        const read = performance.now()
        const head = method.align({ head: own, normalisation: before.normalisation, ...few, kernels }, run)
        const fitted = performance.now()
        const fit = procrustes(kernels, few.merged, few.expert)
        const logits = more && {
          specialist: logitsOf(kernels, more.expert, own),
          merged: logitsOf(kernels, more.merged, before.head),
          aligned: logitsOf(kernels, more.merged, head),
        }
        reports.push({
          task,
          texts: drawn.shots.length,
          otherTexts: others.length,
          ...(logits ? comparison(logits, (z) => judge.scores(z, gold)) : {}),
          distance: fit.before,
          distanceRotated: fit.residual,
          seconds: { vectors: (read - begun) / 1000, fit: (fitted - read) / 1000 },
        })
        aligned.push({ task, before, head })
      } finally {
        await expert.close()
      }
    }
  } finally {
    await merged.close()
  }
  const seconds = (performance.now() - started) / 1000
  await writeFolderAtomic(options.out, { force: options.force ?? false }, async (target) => {
    await cp(folder, target, { recursive: true })
    for (const { task, before, head } of aligned) await writeHead(join(target, 'heads', task), before, head)
    const before = (await readJson(join(folder, recordFile)).catch(() => ({}))) as Record<string, unknown>
    await writeRecord(target, before, {
      espalier: version,
      ...(options.command === undefined ? {} : { command: options.command }),
      method: { name: method.name, options: method.options },
      seed,
      model: folder,
      experts: Object.fromEntries(experts),
      tasks: reports,
      seconds,
    })
  })
  return { folder: options.out, method: { name: method.name, options: method.options }, seed, tasks: reports, seconds }
}

async function writeHead(folder: string, { names }: TaskHead, { weight, bias }: LinearHead): Promise<void> {
  const entry = (name: string, shape: number[], values: Float64Array) => ({
    name,
    dtype: 'F32' as const,
    shape,
    data: Float32Array.from(values),
  })
  await writeSafetensors(join(folder, 'head.safetensors'), [
    entry(names.weight, [weight.rows, weight.columns], weight.data),
    entry(names.bias, [bias.length], bias),
  ])
}

/** What the record says: that of the merge, which stays what it is, and what alignment did to it; figures of each task under `tasks`. */
async function writeRecord(
  folder: string,
  before: Record<string, unknown>,
  align: Record<string, unknown> & { tasks: readonly TaskAlignment[] },
): Promise<void> {
  const named = Object.entries({ accuracy: 'accuracy', hierarchicalF1: 'hierarchical F1', ece: 'calibration error' })
  const tasks = Object.fromEntries(
    align.tasks.flatMap(({ task, scores }) => {
      if (!scores) return []
      const figures = named.flatMap(([key, figure]) => {
        const moments = Object.entries(scores).map(([when, values]) => [when, values[key as keyof TaskScores]])
        return moments.some(([, value]) => value === undefined) ? [] : [[figure, Object.fromEntries(moments)]]
      })
      return [[task, Object.fromEntries(figures)]]
    }),
  )
  const record = before['verb'] === 'merge' ? { ...before, tasks, align } : { ...align, verb: 'align', tasks, align }
  await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`)
}

type Logits = Readonly<Record<'specialist' | 'merged' | 'aligned', Matrix>>

/** Agreement with the expert before and after, and what all three score. */
function comparison(
  { specialist, merged, aligned }: Logits,
  scores: (logits: Matrix) => TaskScores,
): Pick<TaskAlignment, 'agreementBefore' | 'agreementAfter' | 'scores'> {
  const choices = bestUnits(specialist)
  return {
    agreementBefore: share(bestUnits(merged), choices),
    agreementAfter: share(bestUnits(aligned), choices),
    scores: { specialist: scores(specialist), merged: scores(merged), aligned: scores(aligned) },
  }
}

interface LabelledText {
  readonly text: string
  readonly paths: readonly (readonly string[])[]
  readonly at: { file: string; line: number }
}

/** The rows of a data set that have a label. */
async function labelledTexts(data: Dataset, task: string): Promise<LabelledText[]> {
  const rows: LabelledText[] = []
  for await (const { text, labels, file, line } of data)
    if (labels.length > 0) rows.push({ text, paths: labels, at: { file, line } })
  if (rows.length === 0)
    throw new InputError('DATA_EMPTY', `There is no labelled text for task ${task}`, { where: { file: data.files[0] } })
  return rows
}

/** The first `shots` texts of each label (a row's first) in a drawn order, and the others. */
async function drawTexts(
  data: Dataset,
  shots: number,
  seed: number,
  task: string,
): Promise<{ shots: LabelledText[]; others: LabelledText[] }> {
  const rows = await labelledTexts(data, task)
  const counts = new Map<string, number>()
  const chosen: LabelledText[] = []
  const others: LabelledText[] = []
  for (const i of permutation(rows.length, random(seed, 'align', task))) {
    const row = rows[i]!
    const label = JSON.stringify(row.paths[0])
    const count = counts.get(label) ?? 0
    counts.set(label, count + 1)
    if (count < shots) chosen.push(row)
    else if (others.length < mostOthers) others.push(row)
  }
  return { shots: chosen, others }
}

/** The folder of each task's expert, from the options or from the record of the merge. */
async function expertsOf(
  folder: string,
  tasks: readonly string[],
  given: AlignOptions['experts'] = {},
): Promise<Map<string, string>> {
  const known = (await readdir(join(folder, 'heads')).catch(() => [])).sort()
  if (known.length === 0)
    throw new InputError('MODEL_FORMAT', 'The folder holds no multi-task model: it has no heads', {
      where: { file: folder },
      help: 'merge classifiers with different labels first: espalier merge RECIPE.yml OUT',
    })
  const record = (await readJson(join(folder, recordFile)).catch(() => ({}))) as {
    inputs?: { key: string; folder: string; base?: boolean }[]
    merge?: { inputs?: { key: string; folder: string }[] }
  }
  const inputs = record.inputs ?? record.merge?.inputs ?? []
  const experts = new Map<string, string>()
  for (const task of [...tasks, ...Object.keys(given)])
    if (!known.includes(task))
      throw new InputError('TASK_UNKNOWN', `The model has no task "${task}"`, {
        where: { file: join(folder, 'heads') },
        help: didYouMean(task, known, `tasks: ${known.join(', ')}`),
        data: { known },
      })
  for (const task of tasks) {
    const expert = given[task] ?? inputs.find(({ key }) => key.replaceAll(/[\\/]+/g, '-') === task)?.folder
    if (expert === undefined || !(await stat(join(expert, 'config.json')).catch(() => undefined)))
      throw new InputError('EXPERT_MISSING', `The fine-tuned classifier of task ${task} is not there`, {
        where: { file: expert ?? folder },
        help: `name its folder: --expert ${task}=FOLDER`,
      })
    experts.set(task, expert)
  }
  return experts
}

function checkFit(merged: LinearHead, own: LinearHead, vectors: Matrix, folder: string): void {
  if (own.bias.length === merged.bias.length && own.weight.columns === vectors.columns) return
  throw new InputError(
    'EXPERT_OTHER',
    `Expected a head of ${merged.bias.length} x ${vectors.columns}, received ${own.bias.length} x ${own.weight.columns}`,
    { where: { file: folder }, help: 'name the classifier that was merged' },
  )
}

function bestUnits(logits: Matrix): number[] {
  return Array.from({ length: logits.rows }, (_, row) => {
    const values = logits.data.subarray(row * logits.columns, (row + 1) * logits.columns)
    return values.indexOf(values.reduce((most, z) => Math.max(most, z), Number.NEGATIVE_INFINITY))
  })
}

const share = (a: readonly number[], b: readonly number[]): number =>
  a.filter((unit, i) => unit === b[i]).length / a.length
