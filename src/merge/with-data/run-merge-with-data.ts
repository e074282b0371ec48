/** Carries a merge with data out: opens models and rows, lets the method compute the shared weights, and writes them as any merge is written. */
import { checkOutputFolder } from '../../util/atomic.ts'
import { InputError } from '../../util/errors.ts'
import { merge, planMerge } from '../merge.ts'
import { defineMergeMethod } from '../merge-method.ts'
import type { MergePlan } from '../plan/merge-plan.ts'
import type { DataMergeMethod } from './data-merge-method.ts'
import type { MergeWithDataOptions, MergeWithDataResult } from './merge-with-data.ts'
import { bareName, openSpecialists, type Specialists, type Weights } from './specialists.ts'

/** See `mergeWithData`. */
export async function runMergeWithData(
  folders: readonly string[],
  options: MergeWithDataOptions,
): Promise<MergeWithDataResult> {
  const start = performance.now()
  const { method, data, base, out, rows = 256, seed = 0, threads = 1, force = false, signal, onProgress } = options
  const run = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) }
  if (!Number.isInteger(rows) || rows < 1)
    throw new InputError('OPTION_RANGE', `Expected rows from 1, received ${rows}`, { where: { key: 'rows' } })
  checkBase(method, base)
  await checkOutputFolder(out, force)
  const models = await openSpecialists(folders, {
    ...run,
    ...(base === undefined ? {} : { base }),
    data,
    rows,
    seed,
    labels: method.labels,
  })
  if (method.labels) checkLabels(models, method)
  const { weights, report } = await method.merge(models, { ...run, threads, seed })
  const counts = models.models.map((model) => model.rows.texts.length)
  const { bytes, plan } = await merge(folders, {
    ...run,
    ...(base === undefined ? {} : { base }),
    method: written(method, weights),
    out,
    head: { kind: 'keep-per-task' },
    threads: 1,
    seed,
    force,
    record: {
      ...(options.command === undefined ? {} : { command: options.command }),
      method: method.name,
      options: method.options,
      rows: counts,
      data: data.map(({ files }) => files),
      report,
    },
  })
  const seconds = (performance.now() - start) / 1000
  return { folder: out, method: method.name, rows: counts, report, bytes, seconds, plan }
}

/** See `planMergeWithData`. Beside what the engine needs, all models are held in memory. */
export async function planWithData(
  folders: readonly string[],
  { method, base, signal, onProgress }: Pick<MergeWithDataOptions, 'method' | 'base' | 'signal' | 'onProgress'>,
): Promise<MergePlan> {
  checkBase(method, base)
  const plan = await planMerge(folders, {
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(base === undefined ? {} : { base }),
    method: written(method, new Map()),
    head: { kind: 'keep-per-task' },
    threads: 1,
  })
  return { ...plan, peakBytes: plan.peakBytes + plan.readBytes }
}

function checkBase({ name, base: needed }: DataMergeMethod, base: string | undefined): void {
  if (needed === 'required' && base === undefined)
    throw new InputError('BASE_MISSING', `${name} takes differences from a base, and none is named`, {
      help: 'name the model that the others were fine-tuned from',
    })
}

/** A method for the engine that writes values computed before; tensors without one, such as those of unknown parts, become the mean. */
function written({ name }: DataMergeMethod, weights: Weights) {
  const values = new Map([...weights].map(([key, data]) => [bareName(key), data]))
  return defineMergeMethod({
    info: { name, summary: '', source: '', status: 'partial' },
    base: 'optional',
    models: { least: 1 },
    options: {},
    merge(task) {
      const given = values.get(modern(bareName(task.name)))
      for (const block of task.blocks()) {
        const sum = block.zeros('sum')
        if (given) sum.set(given.subarray(block.start, block.start + block.length))
        else for (let t = 0; t < task.models; t++) block.addTheta(sum, t, 1 / task.models)
        block.write(sum)
      }
    },
  })()
}

/** Older checkpoints call the scale and shift of a normalisation gamma and beta. */
const modern = (name: string): string =>
  name.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias')

function checkLabels({ models }: Specialists, { name }: DataMergeMethod): void {
  for (const { folder, rows } of models)
    if (rows.labels.some((labels) => labels.length === 0))
      throw new InputError('LABELS_NONE', `${name} needs labels with these options, and a row has none`, {
        where: { file: folder },
        help: 'give labelled rows, or another value of the option labels',
      })
}
