/** What a checkpoint folder, a safetensors file or a LoRA adapter holds, as plain data from headers alone. Faces decide how to show it. */
import { readdir, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Dtype, elementCount } from '../tensor/dtypes.ts'
import { systemError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { openCheckpoint } from './checkpoint.ts'
import { openLora } from './lora-adapter.ts'
import { resolveModel } from './resolve-model.ts'
import type { TensorInfo } from './safetensors-header.ts'
import { companionFiles } from './write-checkpoint.ts'

export interface TensorRow {
  name: string
  dtype: Dtype
  shape: number[]
  parameters: number
  bytes: number
  /** The file that holds it, without its folder. */
  file: string
}

export interface Inspection {
  kind: 'checkpoint' | 'safetensors' | 'adapter'
  path: string
  tensors: number
  parameters: number
  /** Bytes of the tensors, without headers. */
  bytes: number
  /** By dtype, the largest share first. */
  dtypes: { dtype: Dtype; tensors: number; parameters: number; bytes: number }[]
  /** The weights' files with their sizes on disk. */
  files: { file: string; bytes: number; tensors: number }[]
  metadata: Record<string, string>
  /** The first tensors in the order of their files; see `rows` of the options. */
  rows: TensorRow[]
  model?: ModelInspection
  adapter?: AdapterInspection
}

export interface ModelInspection {
  architecture?: string
  modelType?: string
  /** Repeated layers, counted from the tensors' names. */
  layers?: number
  /** True if a language model's output weight is missing and so must be that of its embeddings. Undefined for other models. */
  tiedEmbeddings?: boolean
  /** Labels in the order of the outputs. */
  labels?: string[]
  /** Tokenizer and generation files. */
  companions: string[]
}

export interface AdapterInspection {
  baseModel?: string
  rank: number
  /** Every rank that occurs, if they differ. */
  ranks: number[]
  alpha: number
  rankStabilised: boolean
  /** Factors of B A that occur. */
  scales: number[]
  targetModules: string[] | string
  modules: number
  replacedTensors: number
}

export interface InspectOptions extends RunOptions {
  /** How many tensors to list (default 20). */
  rows?: number
}

/**
 * Describes what a path holds. No tensor is read.
 *
 * Throws the errors of `openCheckpoint` and `openLora`.
 *
 * @example
 * const { parameters, model } = await inspectPath('demo-out/model')
 */
export async function inspectPath(path: string, options: InspectOptions = {}): Promise<Inspection> {
  const place = await resolveModel(path, options)
  const found = await stat(place).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  const names = found.isDirectory() ? await readdir(place) : []
  const isAdapter = names.includes('adapter_config.json') && !names.some((name) => /^model.*\.safetensors$/.test(name))
  if (isAdapter) return inspectAdapter(path, place, options)
  const checkpoint = await openCheckpoint(place)
  try {
    const summary = await summarise(checkpoint.tensors, checkpoint.files, options)
    const { metadata, config } = checkpoint
    const kind = found.isDirectory() ? 'checkpoint' : 'safetensors'
    const model = Object.keys(config).length > 0 && kind === 'checkpoint'
    return {
      kind,
      path,
      ...summary,
      metadata: { ...metadata },
      ...(model && { model: describeModel(config, checkpoint.tensors, await companionFiles(checkpoint.folder)) }),
    }
  } finally {
    await checkpoint.close()
  }
}

async function inspectAdapter(path: string, folder: string, options: InspectOptions): Promise<Inspection> {
  const adapter = await openLora(folder)
  try {
    const { config, updates, replaced, baseModel, rank, alpha, file } = adapter
    const targets = config['target_modules']
    const distinct = (values: number[]) => [...new Set(values)].sort((a, b) => a - b)
    return {
      kind: 'adapter',
      path,
      ...(await summarise(file.tensors, [file.file], options)),
      metadata: { ...file.metadata },
      adapter: {
        ...(baseModel !== undefined && { baseModel }),
        rank,
        ranks: distinct(updates.map((update) => update.rank)),
        alpha,
        rankStabilised: config['use_rslora'] === true,
        scales: distinct(updates.map(({ scale }) => scale)),
        targetModules: Array.isArray(targets) || typeof targets === 'string' ? (targets as string[] | string) : [],
        modules: updates.length,
        replacedTensors: replaced.size,
      },
    }
  } finally {
    await adapter.close()
  }
}

type Summary = Pick<Inspection, 'tensors' | 'parameters' | 'bytes' | 'dtypes' | 'files' | 'rows'>

async function summarise(
  tensors: ReadonlyMap<string, TensorInfo>,
  files: readonly string[],
  { rows: limit = 20 }: InspectOptions,
): Promise<Summary> {
  const byDtype = new Map<Dtype, { dtype: Dtype; tensors: number; parameters: number; bytes: number }>()
  const counts = new Map<string, number>()
  const rows: TensorRow[] = []
  let [parameters, bytes] = [0, 0]
  for (const { name, dtype, shape, bytes: size, place } of tensors.values()) {
    const count = elementCount(shape)!
    const share = byDtype.get(dtype) ?? { dtype, tensors: 0, parameters: 0, bytes: 0 }
    byDtype.set(dtype, share)
    share.tensors++
    share.parameters += count
    share.bytes += size
    parameters += count
    bytes += size
    counts.set(place!.file, (counts.get(place!.file) ?? 0) + 1)
    if (rows.length < limit)
      rows.push({ name, dtype, shape: [...shape], parameters: count, bytes: size, file: basename(place!.file) })
  }
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return {
    tensors: tensors.size,
    parameters,
    bytes,
    dtypes: [...byDtype.values()].sort((a, b) => b.bytes - a.bytes),
    files: files.map((file, i) => ({ file: basename(file), bytes: sizes[i]!, tensors: counts.get(file) ?? 0 })),
    rows,
  }
}

function describeModel(
  config: Record<string, unknown>,
  tensors: ReadonlyMap<string, TensorInfo>,
  companions: string[],
): ModelInspection {
  const [architecture] = Array.isArray(config['architectures']) ? config['architectures'] : []
  const modelType = config['model_type']
  const layers = countLayers(tensors.keys())
  const tied = typeof architecture === 'string' ? tiedEmbeddings(architecture, tensors) : undefined
  const labels = readLabels(config)
  return {
    ...(typeof architecture === 'string' && { architecture }),
    ...(typeof modelType === 'string' && { modelType }),
    ...(layers > 0 && { layers }),
    ...(tied !== undefined && { tiedEmbeddings: tied }),
    ...(labels && { labels }),
    companions,
  }
}

function countLayers(names: Iterable<string>): number {
  let most = 0
  for (const name of names) {
    const layer = /\.(?:layers?|h|blocks?)\.(\d{1,5})\./.exec(`.${name}`)
    if (layer) most = Math.max(most, Number(layer[1]) + 1)
  }
  return most
}

function tiedEmbeddings(architecture: string, tensors: ReadonlyMap<string, TensorInfo>): boolean | undefined {
  if (!/For(CausalLM|MaskedLM|PreTraining|ConditionalGeneration)|LMHead/.test(architecture)) return undefined
  return ![...tensors.keys()].some((name) =>
    /(^|\.)(lm_head|embed_out|cls\.predictions\.decoder|lm_head\.decoder|vocab_projector|output)\.weight$/.test(name),
  )
}

function readLabels(config: Record<string, unknown>): string[] | undefined {
  const names = config['id2label']
  if (typeof names !== 'object' || names === null) return undefined
  const entries = Object.entries(names).sort(([a], [b]) => Number(a) - Number(b))
  return entries.every(([, label]) => typeof label === 'string') ? entries.map(([, label]) => label) : undefined
}
