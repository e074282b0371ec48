/** LoRA adapters (Hu et al., 2022) as PEFT saves them: for each adapted weight two factors, applied as W + scale * B A. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readJsonObject } from '../../checkpoint/checkpoint.ts'
import { openSafetensors } from '../../checkpoint/safetensors-file.ts'
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import { InputError } from '../../util/errors.ts'
import { backbonePrefix } from './tensor-names.ts'

export interface LoraFactors {
  /** rank x in */
  readonly a: TensorInfo
  /** out x rank */
  readonly b: TensorInfo
  readonly scale: number
  /** The weight is stored as in x out (Conv1D, embeddings), so the product is transposed. */
  readonly transposed: boolean
}

export interface Adapter {
  readonly folder: string
  /** The backbone's prefix in its names, such as `bert.`. */
  readonly prefix: string
  /** Factors by the name of the weight. */
  readonly factors: ReadonlyMap<string, LoraFactors>
  /** Tensors that the adapter replaces as a whole: `modules_to_save`, trained biases. */
  readonly replaced: ReadonlyMap<string, TensorInfo>
}

const wrapper = /^base_model\.model\./

/** Reads the adapter's config and headers. Throws InputError `ADAPTER` for kinds of adapters that are not plain LoRA. */
export async function openAdapter(folder: string): Promise<Adapter> {
  const config = await readJsonObject(join(folder, 'adapter_config.json'))
  const fault = (message: string, help: string) =>
    new InputError('ADAPTER', message, { where: { file: join(folder, 'adapter_config.json') }, help })
  if (config['peft_type'] !== 'LORA')
    throw fault(`Expected a LoRA adapter, received ${String(config['peft_type'])}`, 'only LoRA adapters can be merged')
  if (config['use_dora'] === true)
    throw fault('The adapter uses DoRA, which changes weights in another way', 'merge it into its base model with PEFT')
  const rank = Number(config['r'])
  const alpha = Number(config['lora_alpha'] ?? rank)
  const ranks = (config['rank_pattern'] ?? {}) as Record<string, number>
  const alphas = (config['alpha_pattern'] ?? {}) as Record<string, number>
  const file = join(folder, 'adapter_model.safetensors')
  if (!(await stat(file).catch(() => undefined)))
    throw fault('There is no adapter_model.safetensors beside it', 'save the adapter as safetensors')
  const opened = await openSafetensors(file)
  await opened.close()
  const factors = new Map<string, LoraFactors>()
  const replaced = new Map<string, TensorInfo>()
  const halves = new Map<string, { a?: TensorInfo; b?: TensorInfo; embedding: boolean }>()
  for (const [stored, info] of opened.tensors) {
    const name = stored.replace(wrapper, '')
    const found = /^(.*)\.lora_(A|B|embedding_A|embedding_B)(\.\w+)?(\.weight)?$/.exec(name)
    if (!found) {
      replaced.set(name.replace(/\.(modules_to_save(\.default)?|base_layer)(?=\.)/, ''), info)
      continue
    }
    const [, module, half] = found as unknown as [string, string, string]
    const entry = { ...halves.get(module), embedding: half.startsWith('embedding') }
    halves.set(module, half.endsWith('A') ? { ...entry, a: info } : { ...entry, b: info })
  }
  for (const [module, { a, b, embedding }] of halves) {
    if (!a || !b) throw fault(`The adapter has only one factor for ${module}`, 'save it again')
    const pattern = (table: Record<string, number>, otherwise: number) =>
      Object.entries(table).find(([key]) => module === key || module.endsWith(`.${key}`))?.[1] ?? otherwise
    const r = pattern(ranks, rank)
    factors.set(`${module}.weight`, {
      a,
      b,
      scale: pattern(alphas, alpha) / (config['use_rslora'] === true ? Math.sqrt(r) : r),
      transposed: embedding || config['fan_in_fan_out'] === true,
    })
  }
  return { folder, prefix: backbonePrefix([...factors.keys(), ...replaced.keys()]), factors, replaced }
}
