/**
 * LoRA adapters merged as adapters: a folder in PEFT's layout comes out that the same base takes. Exact sums keep all factors; other methods work on
 * the updates, or on the factors as PEFT's `add_weighted_adapter` does.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LoraAdapter, openLora } from '../../checkpoint/lora-adapter.ts'
import { type TensorEntry, writeSafetensors } from '../../checkpoint/write-safetensors.ts'
import { toFloat64 } from '../../tensor/dtypes.ts'
import { MatrixKernels, matrix } from '../../tensor/linear-algebra/index.ts'
import { recordFile, writeFolderAtomic } from '../../util/atomic.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import type { MergeMethod } from '../merge-method.ts'
import { layerOf } from '../plan/tensor-names.ts'
import { type Scalar, type Setting, settle } from '../settings.ts'
import { settleOptions } from '../settle-options.ts'
import { type Combined, concatenate, type Factors, mergeFactors, refactor } from './combine-factors.ts'

/** `cat` the exact weighted sum, ranks add up; `svd` the method on the updates, brought to one rank; `factors` the method on A and on B. */
export type AdapterCombination = 'cat' | 'svd' | 'factors'

type SettingTable = Readonly<Record<string, Setting<Scalar>>>

/** An adapter to merge: its folder, or one with settings of its own, such as `{ adapter: 'news', weight: 0.3 }`. */
export type AdapterToMerge = string | ({ adapter: string } & SettingTable)

export interface MergeAdaptersOptions extends RunOptions {
  method: MergeMethod
  /** The folder to write. */
  out: string
  /** Default: `cat` for `linear` and `task_arithmetic` without a rank, otherwise `svd`. */
  combine?: AdapterCombination
  /** The rank of `svd` (default: the largest of the adapters). */
  rank?: number
  /** The model that the result names as its base (default: that of the first adapter). */
  base?: string
  /** Key of the random choices of dare and della (default 0). */
  seed?: number
  force?: boolean
  /** What the output's record says besides. */
  record?: Readonly<Record<string, unknown>>
}

export interface MergeAdaptersResult {
  readonly folder: string
  readonly combine: AdapterCombination
  /** The largest rank of a module. */
  readonly rank: number
  readonly modules: number
  /** Of what `svd` cut off, the share of the merged updates: a root of sums of squares. 0 for exact sums. */
  readonly error: number
  readonly bytes: number
  /** The base models that the adapters name; more than one should be one model by different names. */
  readonly bases: readonly string[]
}

/** See `mergeAdapters` in merge.ts. */
export async function writeMergedAdapter(
  adapters: readonly AdapterToMerge[],
  options: MergeAdaptersOptions,
): Promise<MergeAdaptersResult> {
  const { method, out, signal, onProgress, seed = 0, force = false } = options
  const given = adapters.map((entry) => (typeof entry === 'string' ? { adapter: entry } : entry))
  if (given.length === 0)
    throw new InputError('MERGE_INPUT', 'Expected at least one adapter, received none', {
      help: 'name the folders of the adapters to merge',
    })
  const opened: LoraAdapter[] = []
  try {
    for (const { adapter } of given) opened.push(await openLora(adapter))
    const combine = combinationOf(options)
    const modules = [...new Set(opened.flatMap(({ updates }) => updates.map(({ module }) => module)))]
    checkTogether(opened, modules, combine)
    const kernels = await MatrixKernels.open()
    const rank = options.rank ?? Math.max(...opened.flatMap(({ updates }) => updates.map((update) => update.rank)))
    const layers = Math.max(0, ...modules.map((module) => layerOf(`${module}.`)?.index ?? 0))
    const tables = given.map(({ adapter: _, ...settings }) => settings as SettingTable)
    const merged = new Map<string, Combined>()
    for (const [done, module] of modules.entries()) {
      await new Promise(setImmediate) // an abort is seen between modules
      throwIfAborted(signal)
      const name = `${module}.weight`
      const depth = layers === 0 ? 0 : (layerOf(`${module}.`)?.index ?? 0) / layers
      const settings = tables.map((table) => settledTable(table, name, depth))
      const settled = { ...method, settings: settledTable(method.settings, name, depth) }
      const parts = await Promise.all(opened.map((adapter) => factorsOf(adapter, module, combine)))
      const combination = { method: settled, settings, name, seed }
      merged.set(
        module,
        combine === 'cat'
          ? concatenate(parts, sumWeights(settled, name, settings))
          : combine === 'svd'
            ? await refactor(kernels, parts, rank, combination)
            : await mergeFactors(parts, combination),
      )
      onProgress?.({ step: 'merge', done: done + 1, total: modules.length, unit: 'modules' })
    }
    const saved = await averageSaved(opened, tables, method)
    const { config, entries } = adapterFiles(opened, merged, saved, options.base)
    const total = (key: 'square' | 'lost') => [...merged.values()].reduce((sum, found) => sum + found[key], 0)
    const summary = {
      combine,
      rank: config.r,
      modules: modules.length,
      error: total('square') === 0 ? 0 : Math.sqrt(total('lost') / total('square')),
      bases: [...new Set(opened.flatMap(({ baseModel }) => baseModel ?? []))],
    }
    await writeFolderAtomic(out, { force }, async (folder) => {
      await writeFile(join(folder, 'adapter_config.json'), `${JSON.stringify(config, null, 2)}\n`)
      await writeSafetensors(join(folder, 'adapter_model.safetensors'), entries, undefined, signal ? { signal } : {})
      const { name, settings } = method
      const record = {
        version,
        verb: 'merge',
        method: name,
        settings,
        seed,
        adapters: given,
        ...summary,
        ...options.record,
      }
      await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`)
    })
    const bytes = entries.reduce((sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1), 0)
    return { folder: out, ...summary, bytes }
  } finally {
    await Promise.all(opened.map((adapter) => adapter.close()))
  }
}

const summing = new Set(['linear', 'task-arithmetic'])

function combinationOf({ method, combine, rank }: MergeAdaptersOptions): AdapterCombination {
  const found = combine ?? (summing.has(method.name) && rank === undefined ? 'cat' : 'svd')
  const fault = (message: string, help: string) =>
    new InputError('ADAPTER_MERGE', message, { where: { key: 'combine' }, help })
  if (found === 'cat' && !summing.has(method.name))
    throw fault(
      `Only weighted sums can be put side by side, not ${method.name.replaceAll('-', '_')}`,
      'use combine: svd',
    )
  if (rank !== undefined && found !== 'svd') throw fault(`A rank does not go with ${found}`, 'use combine: svd')
  if (rank !== undefined && (!Number.isInteger(rank) || rank < 1))
    throw new InputError('OPTION_RANGE', `Expected a rank of at least 1, received ${rank}`, { where: { key: 'rank' } })
  if (method.definition.tasks)
    throw fault('A method with a model for each task does not merge adapters', 'adapters are such models already')
  return found
}

/** Settings for one weight: gradients and filters become values. */
const settledTable = (table: SettingTable, name: string, depth: number): Record<string, Scalar> =>
  Object.fromEntries(
    Object.entries(table).flatMap(([key, setting]) => {
      const value = settle(setting, name, depth)
      return value === undefined ? [] : [[key, value]]
    }),
  )

/** What each update is multiplied by in a weighted sum. */
function sumWeights(method: MergeMethod, name: string, settings: readonly SettingTable[]): number[] {
  const settled = settleOptions(method, { name, depth: 0, settings: settings.map((table) => [table]) })
  const {
    weight,
    normalize,
    lambda = 1,
  } = settled as unknown as { weight: number[]; normalize: boolean; lambda?: number }
  const total = normalize ? weight.reduce((sum, x) => sum + x, 0) : 1
  return weight.map((x) => (lambda * x) / total)
}

async function factorsOf(
  adapter: LoraAdapter,
  module: string,
  combine: AdapterCombination,
): Promise<Factors | undefined> {
  const update = adapter.updates.find((candidate) => candidate.module === module)
  if (!update) return undefined
  const read = async (tensor: string) => {
    const { shape } = adapter.file.tensors.get(tensor)!
    const values = await readDoubles(adapter, tensor)
    if (!values.every(Number.isFinite))
      throw new InputError('NOT_FINITE', 'A weight of the adapter is NaN or infinite', {
        where: { file: adapter.file.file, tensor },
        help: 'the adapter is damaged: fetch or train it again',
      })
    return matrix(shape[0]!, values.length / shape[0]!, values)
  }
  const [a, b] = [await read(update.a), await read(update.b)]
  // On factors each half takes a part of the scale, so that their product has it once.
  const [left, right] =
    combine === 'factors'
      ? [Math.sqrt(Math.abs(update.scale)), Math.sign(update.scale) * Math.sqrt(Math.abs(update.scale))]
      : [update.scale, 1]
  for (const [half, factor] of [
    [a, left],
    [b, right],
  ] as const)
    for (let i = 0; i < half.data.length; i++) half.data[i]! *= factor
  return { a, b }
}

async function readDoubles({ file }: LoraAdapter, tensor: string): Promise<Float64Array> {
  const { dtype, bytes } = file.tensors.get(tensor)!
  const stored = new Uint8Array(bytes)
  await file.readInto(tensor, stored)
  return toFloat64(stored, dtype)
}

/** Throws InputError `ADAPTER_MERGE` unless the adapters change weights of the same sizes in the same way. */
function checkTogether(
  adapters: readonly LoraAdapter[],
  modules: readonly string[],
  combine: AdapterCombination,
): void {
  const fault = (adapter: LoraAdapter, tensor: string, message: string, help: string) =>
    new InputError('ADAPTER_MERGE', message, { where: { file: adapter.folder, tensor }, help })
  const first = adapters[0]!
  for (const adapter of adapters) {
    const bias = [...adapter.addedBiases.keys()][0]
    if (bias !== undefined)
      throw fault(
        adapter,
        bias,
        'The adapter adds to a bias',
        'apply the adapters, MODEL+ADAPTER, and merge the models',
      )
    for (const name of new Set([...first.replaced.keys(), ...adapter.replaced.keys()])) {
      const [a, b] = [first, adapter].map(({ file, replaced }) =>
        file.tensors.get(replaced.get(name) ?? '')?.shape.join(),
      )
      if (a !== b)
        throw fault(
          adapter,
          name,
          `A whole tensor is in one adapter only, or of another shape: ${a ?? 'none'} and ${b ?? 'none'}`,
          'heads of different tasks cannot be merged: apply the adapters, MODEL+ADAPTER, and merge the models',
        )
    }
  }
  for (const module of modules) {
    const found = adapters.flatMap((adapter) =>
      adapter.updates.filter((update) => update.module === module).map((update) => ({ adapter, update })),
    )
    const describe = ({ adapter, update }: (typeof found)[number]) =>
      [adapter.file.tensors.get(update.a)!.shape.slice(1), adapter.file.tensors.get(update.b)!.shape[0]].join(' to ')
    const [{ update: expected }] = found as [(typeof found)[number]]
    for (const each of found) {
      if (describe(each) !== describe(found[0]!) || each.update.transposed !== expected.transposed)
        throw fault(
          each.adapter,
          each.update.a,
          `The update goes from ${describe(each)}, in another adapter from ${describe(found[0]!)}`,
          'only adapters of one base model can be merged',
        )
      if (combine === 'factors' && each.update.rank !== expected.rank)
        throw fault(
          each.adapter,
          each.update.a,
          `The factors have rank ${each.update.rank}, in another adapter ${expected.rank}`,
          'use combine: svd, or cat for a sum',
        )
    }
  }
}

/** Tensors that adapters replace as a whole are averaged by the adapters' weights. */
async function averageSaved(
  adapters: readonly LoraAdapter[],
  tables: readonly SettingTable[],
  method: MergeMethod,
): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
  const saved = new Map<string, { shape: number[]; data: Float32Array }>()
  for (const name of adapters[0]!.replaced.keys()) {
    const weights = tables.map((table) =>
      Number(settle(table['weight'] ?? method.settings['weight'] ?? 1, name, 0) ?? 1),
    )
    const total = weights.reduce((sum, weight) => sum + weight, 0) || 1
    const tensors = await Promise.all(
      adapters.map(async (adapter) => {
        const tensor = adapter.replaced.get(name)!
        return { shape: adapter.file.tensors.get(tensor)!.shape, values: await readDoubles(adapter, tensor) }
      }),
    )
    const sum = tensors[0]!.values.map((_, i) =>
      tensors.reduce((s, { values }, t) => s + (weights[t]! / total) * values[i]!, 0),
    )
    saved.set(name, { shape: tensors[0]!.shape, data: Float32Array.from(sum) })
  }
  return saved
}

const prefix = 'base_model.model.'

/** The adapter's configuration and tensors, with a scale of 1: alpha is the rank. */
function adapterFiles(
  adapters: readonly LoraAdapter[],
  merged: ReadonlyMap<string, Combined>,
  saved: ReadonlyMap<string, { shape: number[]; data: Float32Array }>,
  base: string | undefined,
) {
  const rank = Math.max(1, ...[...merged.values()].map(({ a }) => a.rows))
  const patterns: Record<string, number> = {}
  const entries: TensorEntry[] = []
  const half = (module: string, letter: 'a' | 'b', { rows, columns, data }: Combined['a']) => {
    // Names and shapes as the first adapter that has the module writes them; only the rank is another one.
    const owner = adapters.find(({ updates }) => updates.some((update) => update.module === module))!
    const name = owner.updates.find((update) => update.module === module)![letter]
    const { shape } = owner.file.tensors.get(name)!
    const own = letter === 'a' ? [rows, ...shape.slice(1)] : [rows, columns, ...shape.slice(2)]
    entries.push({ name, dtype: 'F32', shape: own, data: Float32Array.from(data) })
  }
  for (const [module, { a, b }] of merged) {
    if (a.rows !== rank) patterns[module] = a.rows
    half(module, 'a', a)
    half(module, 'b', b)
  }
  for (const [name, { shape, data }] of saved) entries.push({ name: prefix + name, dtype: 'F32', shape, data })
  const { config, baseModel } = adapters[0]!
  const modules = [...new Set([...saved.keys()].map((name) => name.slice(0, name.lastIndexOf('.'))))]
  return {
    entries,
    config: {
      peft_type: 'LORA',
      task_type: config['task_type'] ?? null,
      base_model_name_or_path: base ?? baseModel ?? null,
      r: rank,
      lora_alpha: rank,
      lora_dropout: 0,
      target_modules: [...merged.keys()],
      fan_in_fan_out: config['fan_in_fan_out'] ?? false,
      bias: config['bias'] ?? 'none',
      modules_to_save: config['modules_to_save'] ?? (modules.length === 0 ? null : modules),
      rank_pattern: patterns,
      alpha_pattern: patterns,
      use_rslora: false,
      use_dora: false,
      init_lora_weights: true,
      inference_mode: true,
    },
  }
}
