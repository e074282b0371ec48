/**
 * LoRA adapters (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021) in the folder layout of Hugging Face PEFT:
 * adapter_config.json and adapter_model.safetensors.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError, systemError } from '../util/errors.ts'
import { readJsonObject } from './checkpoint.ts'
import { foreignByName } from './foreign-formats.ts'
import { openSafetensors, type SafetensorsFile } from './safetensors-file.ts'

/** One changed weight: W + scale * B A, as the adapter's tensors give it. */
export interface LoraUpdate {
  /** The module whose weight changes, such as `bert.encoder.layer.0.attention.self.query`. */
  module: string
  rank: number
  /** alpha / rank, or alpha / sqrt(rank) for rank-stabilised adapters. */
  scale: number
  /** Names of the tensors A [rank, in, ...] and B [out, rank, ...] in the adapter's file. */
  a: string
  b: string
  /** The weight is stored as [in, out]: embeddings, and linear layers with fan_in_fan_out. */
  transposed: boolean
}

export interface LoraAdapter {
  readonly folder: string
  /** The adapter's tensors. */
  readonly file: SafetensorsFile
  /** The model it was trained on, as its config says. */
  readonly baseModel: string | undefined
  readonly config: Readonly<Record<string, unknown>>
  readonly rank: number
  readonly alpha: number
  readonly updates: readonly LoraUpdate[]
  /** Tensors that replace those of the base, by their name there: trained biases and modules_to_save. */
  readonly replaced: ReadonlyMap<string, string>
  /** Biases to which `scale * tensor` is added, by their name in the base (lora_bias). */
  readonly addedBiases: ReadonlyMap<string, { tensor: string; scale: number }>
  close(): Promise<void>
}

/**
 * Opens a LoRA adapter and checks that its tensors fit its config.
 *
 * Throws InputError `ADAPTER_MISSING`, `ADAPTER_CONFIG` (a setting is missing or wrong), `ADAPTER_UNSUPPORTED` (DoRA and other variants),
 * `ADAPTER_MISMATCH` (tensors that do not fit the config; names the tensor), and those of `openSafetensors`.
 */
export async function openLora(folder: string): Promise<LoraAdapter> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  const configFile = join(folder, 'adapter_config.json')
  if (!names.includes('adapter_config.json'))
    throw new InputError('ADAPTER_MISSING', 'The folder holds no adapter_config.json', {
      where: { file: folder },
      help: 'give the folder that PEFT saved',
    })
  const settings = readSettings(await readJsonObject(configFile), configFile)
  if (!names.includes('adapter_model.safetensors')) {
    const foreign = names.map((name) => foreignByName(join(folder, name))).find((error) => error)
    throw (
      foreign ??
      new InputError('ADAPTER_MISSING', 'The folder holds no adapter_model.safetensors', {
        where: { file: folder },
        help: 'fetch the adapter again',
      })
    )
  }
  const file = await openSafetensors(join(folder, 'adapter_model.safetensors'))
  try {
    return { folder, file, ...settings, ...sortTensors(file, settings), close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

interface Settings {
  config: Record<string, unknown>
  baseModel: string | undefined
  rank: number
  alpha: number
}

/** Settings of adapters that are not plain LoRA; each must be absent, null or false. */
const variants: Record<string, string> = {
  use_dora: 'DoRA (weight magnitudes)',
  use_qalora: 'QA-LoRA',
  use_bdlora: 'BD-LoRA',
  layer_replication: 'layer replication',
  target_parameters: 'LoRA on bare parameters',
  trainable_token_indices: 'trained token rows',
  alora_invocation_tokens: 'activated LoRA',
  arrow_config: 'Arrow routing',
}

function readSettings(config: Record<string, unknown>, file: string): Settings {
  const wrong = (key: string, message: string) =>
    new InputError('ADAPTER_CONFIG', message, { where: { file, key }, help: 'save the adapter again with PEFT' })
  if (config['peft_type'] !== 'LORA')
    throw new InputError(
      'ADAPTER_UNSUPPORTED',
      `Expected a LoRA adapter, received ${JSON.stringify(config['peft_type'] ?? null)}`,
      {
        where: { file, key: 'peft_type' },
        help: 'only LoRA adapters can be applied; merge others with PEFT: model.merge_and_unload().save_pretrained(OUT)',
      },
    )
  for (const [key, name] of Object.entries(variants)) {
    const value = config[key]
    if (value === undefined || value === null || value === false || (Array.isArray(value) && value.length === 0))
      continue
    throw new InputError('ADAPTER_UNSUPPORTED', `The adapter uses ${name}`, {
      where: { file, key },
      help: 'merge it with PEFT: model.merge_and_unload().save_pretrained(OUT)',
    })
  }
  const { r, lora_alpha: alpha, base_model_name_or_path: base } = config
  if (typeof r !== 'number' || !Number.isInteger(r) || r < 1)
    throw wrong('r', `Expected a rank of at least 1, received ${JSON.stringify(r ?? null)}`)
  if (typeof alpha !== 'number' || !Number.isFinite(alpha))
    throw wrong('lora_alpha', `Expected a number, received ${JSON.stringify(alpha ?? null)}`)
  for (const key of ['rank_pattern', 'alpha_pattern']) {
    const value = config[key] ?? {}
    if (
      typeof value !== 'object' ||
      Array.isArray(value) ||
      Object.values(value).some((entry) => typeof entry !== 'number' || !Number.isFinite(entry))
    )
      throw wrong(key, 'Expected numbers by module pattern')
  }
  const targets = config['target_modules']
  if (
    targets !== undefined &&
    targets !== null &&
    typeof targets !== 'string' &&
    !(Array.isArray(targets) && targets.every((name) => typeof name === 'string'))
  )
    throw wrong('target_modules', 'Expected module names or a pattern')
  return { config, baseModel: typeof base === 'string' ? base : undefined, rank: r, alpha }
}

/** The value of the first pattern that fits a module, by PEFT's rule: a pattern is a regular expression for the end of the name. */
function byPattern(patterns: unknown, module: string, otherwise: number): number {
  for (const [pattern, value] of Object.entries((patterns ?? {}) as Record<string, number>))
    if (fits(`(?:.*\\.)?(?:${pattern})`, module)) return value
  return otherwise
}

function fits(pattern: string, module: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`).test(module)
  } catch {
    return false
  }
}

/** A module is a target if the config names it, its last parts, or a pattern for it. */
function isTarget(module: string, targets: unknown): boolean {
  if (Array.isArray(targets)) return targets.some((name: string) => module === name || module.endsWith(`.${name}`))
  return typeof targets !== 'string' || targets === 'all-linear' || fits(targets, module)
}

const loraTensor = /^(.*)\.(lora_(?:embedding_)?[AB])(?:\.[^.]+)??(?:\.(weight|bias))?$/

type Tensors = Pick<LoraAdapter, 'updates' | 'replaced' | 'addedBiases'>

/** Tells what each tensor of the file is: a half of an update, a bias to add, or a replacement. */
function sortTensors(file: SafetensorsFile, { config, rank, alpha }: Settings): Tensors {
  const mismatch = (tensor: string, message: string) =>
    new InputError('ADAPTER_MISMATCH', message, {
      where: { file: file.file, tensor },
      help: 'the weights and adapter_config.json do not belong together: fetch or save the adapter again',
    })
  const halves = new Map<string, { a?: string; b?: string; bias?: string; embedding: boolean }>()
  const replaced = new Map<string, string>()
  for (const name of file.tensors.keys()) {
    const plain = name.replace(/^base_model\.model\./, '')
    const lora = loraTensor.exec(plain)
    if (!lora) {
      if (/\.lora_[a-z]/.test(plain))
        throw mismatch(name, 'The tensor belongs to a variant of LoRA that is not supported')
      replaced.set(plain.replace(/\.base_layer(?=\.)/, '').replace(/\.modules_to_save(?:\.default)?(?=\.)/, ''), name)
      continue
    }
    const [, module, part, kind] = lora as unknown as [string, string, string, string | undefined]
    const half = halves.get(module) ?? { embedding: part.includes('embedding') }
    halves.set(module, half)
    if (kind === 'bias' && part.endsWith('B')) half.bias = name
    else if (part.endsWith('A')) half.a = name
    else half.b = name
  }
  const updates: LoraUpdate[] = []
  const addedBiases = new Map<string, { tensor: string; scale: number }>()
  for (const [module, { a, b, bias, embedding }] of halves) {
    if (!a || !b) throw mismatch((a ?? b ?? bias)!, `The module has no lora_${a ? 'B' : 'A'}`)
    if (!isTarget(module, config['target_modules'])) throw mismatch(a, 'The module is not among target_modules')
    const moduleRank = byPattern(config['rank_pattern'], module, rank)
    const [shapeA, shapeB] = [file.tensors.get(a)!.shape, file.tensors.get(b)!.shape]
    if (shapeA.length < 2 || shapeB.length < 2 || shapeA[0] !== moduleRank || shapeB[1] !== moduleRank)
      throw mismatch(
        a,
        `Expected A [${moduleRank}, in] and B [out, ${moduleRank}], received [${shapeA.join(', ')}] and [${shapeB.join(', ')}]`,
      )
    const scale =
      byPattern(config['alpha_pattern'], module, alpha) /
      (config['use_rslora'] === true ? Math.sqrt(moduleRank) : moduleRank)
    updates.push({ module, rank: moduleRank, scale, a, b, transposed: embedding || config['fan_in_fan_out'] === true })
    if (bias) addedBiases.set(`${module}.bias`, { tensor: bias, scale })
  }
  if (updates.length === 0 && replaced.size === 0) throw mismatch('', 'The adapter holds no weights')
  return { updates, replaced, addedBiases }
}
