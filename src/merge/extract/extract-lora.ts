/**
 * Extracts a LoRA adapter from a fine-tuned model: the difference of each matrix from the base, cut to low rank by singular value
 * decomposition, in the folder layout of Hugging Face PEFT.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TensorEntry, writeSafetensors } from '../../checkpoint/write-safetensors.ts'
import { checkOutputFolder, recordFile, writeFolderAtomic } from '../../util/atomic.ts'
import { InputError } from '../../util/errors.ts'
import { version } from '../../util/version.ts'
import { runInWorker, workerUrl } from '../../util/worker.ts'
import type { Factored, FactorJob } from './factor-job.ts'
import { type ExtractOptions, type ExtractPlan, planExtractLora } from './plan-extract.ts'

export interface ExtractRunOptions extends ExtractOptions {
  /** Replace an output folder that this package wrote. */
  force?: boolean
  /** The command, for the output's record. */
  command?: string
}

export interface ExtractedTensor {
  readonly name: string
  /** Of a factored tensor. */
  readonly rank?: number
  /** |difference - what the adapter gives| / |difference|: 0 for tensors carried whole, 1 for those left out. */
  readonly error: number
}

export interface ExtractResult {
  readonly folder: string
  readonly bytes: number
  /** The largest rank. */
  readonly rank: number
  /** The relative error over all tensors that both models have in one shape. */
  readonly error: number
  /** Every tensor that differs from the base, in the model's order. */
  readonly tensors: readonly ExtractedTensor[]
  readonly seconds: number
}

/**
 * Writes an adapter that turns `base` into `model`, nearly; `base+out` in a recipe, or PEFT, gives it back.
 *
 * Heads, and tensors that the base lacks, are carried whole. Biases and norms are left out unless `vectors`. Results do not depend on
 * threads.
 * @throws InputError `EXTRACT_MODELS`, `EXTRACT_EQUAL` if nothing differs, `NOT_FINITE`, `OUT_EXISTS`, and those of opening a checkpoint.
 * @example
 * const { error } = await extractLora({ base: 'base', model: 'fine-tuned', out: 'adapter', rank: 32 })
 */
export async function extractLora(options: ExtractRunOptions & { out: string }): Promise<ExtractResult> {
  const { out, force = false, signal, onProgress } = options
  const start = performance.now()
  await checkOutputFolder(out, force)
  const plan = await planExtractLora(options)
  const results = await factorAll(plan, { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) })
  if (results.every(({ a, whole }) => !a && !whole))
    throw new InputError('EXTRACT_EQUAL', 'The model does not differ from the base where an adapter could say so', {
      where: { file: options.model },
      help: 'give the base first, then the model that was fine-tuned from it',
    })
  const { config, entries } = adapterOf(plan, results)
  const bytes = entries.reduce((sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1), 0)
  const total = results.reduce((sum, { square }) => sum + square, 0)
  const lost = results.reduce((sum, result) => sum + result.lost, 0)
  const share = (part: number, whole: number) => (whole === 0 ? 0 : Math.sqrt(part / whole))
  const summary = {
    rank: Math.max(0, ...results.map(({ rank = 0 }) => rank)),
    error: share(lost, total),
    tensors: results.flatMap(({ index, square, lost, rank, whole }) =>
      square === 0 && !whole
        ? []
        : [{ name: plan.tensors[index]!.name, ...(rank === undefined ? {} : { rank }), error: share(lost, square) }],
    ),
  }
  await writeFolderAtomic(out, { force }, async (folder) => {
    await writeFile(join(folder, 'adapter_config.json'), `${JSON.stringify(config, null, 2)}\n`)
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), entries, undefined, signal ? { signal } : {})
    const { base, model, rank, variance, vectors } = plan
    const settings = { base, model, rank, variance, vectors }
    const record = { version, verb: 'extract-lora', command: options.command, settings, ...summary }
    await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`)
  })
  return { folder: out, bytes, ...summary, seconds: (performance.now() - start) / 1000 }
}

async function factorAll(
  plan: ExtractPlan,
  { signal, onProgress }: Pick<ExtractRunOptions, 'signal' | 'onProgress'>,
): Promise<Factored[]> {
  const sizes = plan.tensors.map(({ shape }) => shape.reduce((product, size) => product * size, 1))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const order = [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]! || a - b)
  const job: FactorJob = { plan, control: new Int32Array(new SharedArrayBuffer(4)), order }
  const url = workerUrl(import.meta.url, './factor-worker.ts')
  const done: number[] = []
  const parts = await Promise.all(
    Array.from({ length: plan.threads }, (_, thread) =>
      runInWorker<FactorJob, Factored[]>(url, job, {
        ...(signal ? { signal } : {}),
        onProgress(progress) {
          done[thread] = progress.done
          onProgress?.({ ...progress, done: done.reduce((sum, count) => sum + (count ?? 0), 0), total })
        },
      }).catch((error: unknown) => {
        Atomics.store(job.control, 0, order.length) // the others end after their tensor
        throw error
      }),
    ),
  )
  return parts.flat().sort((a, b) => a.index - b.index)
}

const prefix = 'base_model.model.'
const moduleOf = (name: string): string => name.slice(0, name.lastIndexOf('.'))

/** The adapter's tensors and its configuration, with a scale of 1: alpha is the rank. */
function adapterOf(plan: ExtractPlan, results: readonly Factored[]) {
  const entries: TensorEntry[] = []
  const targets: string[] = []
  const saved = new Set<string>()
  const patterns: Record<string, number> = {}
  const rank = Math.max(
    1,
    plan.rank ?? 0,
    ...results.map((result) => (plan.rank === undefined ? (result.rank ?? 0) : 0)),
  )
  const factored = new Set(results.flatMap(({ index, a }) => (a ? [moduleOf(plan.tensors[index]!.name)] : [])))
  const float = (name: string, shape: readonly number[], data: Float32Array): TensorEntry => ({
    name: prefix + name,
    dtype: 'F32',
    shape: [...shape],
    data,
  })
  let biases = false
  for (const { index, rank: own, a, b, whole } of results) {
    const { name, shape, action } = plan.tensors[index]!
    const module = moduleOf(name)
    if (a && b && own !== undefined) {
      const [out, input] = action === 'factor' ? [shape[0]!, shape[1]!] : [shape[1]!, shape[0]!]
      const embedding = action === 'embedding'
      const half = (letter: string) => `${module}.lora_${embedding ? `embedding_${letter}` : `${letter}.weight`}`
      entries.push(float(half('A'), [own, input], a), float(half('B'), [out, own], b))
      targets.push(module)
      if (own !== rank) patterns[module] = own
    } else if (whole && factored.has(module)) {
      biases = true
      entries.push(float(`${module}.base_layer.${name.slice(module.length + 1)}`, shape, whole))
    } else if (whole) {
      saved.add(module)
      entries.push(float(name, shape, whole))
    }
  }
  const config = {
    peft_type: 'LORA',
    task_type: null,
    base_model_name_or_path: plan.base,
    r: rank,
    lora_alpha: rank,
    lora_dropout: 0,
    target_modules: targets,
    fan_in_fan_out: plan.fanInFanOut,
    bias: biases ? 'all' : 'none',
    modules_to_save: saved.size === 0 ? null : [...saved],
    rank_pattern: patterns,
    alpha_pattern: patterns,
    use_rslora: false,
    use_dora: false,
    init_lora_weights: true,
    inference_mode: true,
  }
  return { config, entries }
}
