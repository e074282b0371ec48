/** Small random checkpoints to merge: the tensors of a BERT with a classifier, or of a decoder. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeCheckpoint } from '../../src/checkpoint/write-checkpoint.ts'
import { writeSafetensors } from '../../src/checkpoint/write-safetensors.ts'
import type { Dtype } from '../../src/tensor/dtypes.ts'
import { fromFloat64 } from '../../src/tensor/dtypes.ts'
import { random } from '../../src/tensor/random.ts'

export interface SmallModel {
  kind?: 'bert' | 'decoder'
  /** Fine-tunes of one base share their `base` and differ by their `seed`. */
  base?: number
  seed?: number
  dtype?: Dtype
  layers?: number
  width?: number
  vocabulary?: number
  labels?: readonly string[]
  /** Without the prefix and the head, as a bare backbone is saved. */
  bare?: boolean
  /** Changes the values of a tensor. */
  alter?: (name: string, values: Float64Array) => Float64Array | undefined
  omit?: readonly string[]
  files?: Record<string, string>
  maxShardBytes?: number
}

function shapes({
  kind = 'bert',
  layers = 2,
  width = 8,
  vocabulary = 20,
  labels,
  bare,
}: SmallModel): [string, number[]][] {
  if (kind === 'decoder')
    return [
      ['model.embed_tokens.weight', [vocabulary, width]],
      ...Array.from({ length: layers }, (_, i) => i).flatMap((i): [string, number[]][] => [
        [`model.layers.${i}.self_attn.q_proj.weight`, [width, width]],
        [`model.layers.${i}.mlp.up_proj.weight`, [3 * width, width]],
        [`model.layers.${i}.mlp.down_proj.weight`, [width, 3 * width]],
        [`model.layers.${i}.input_layernorm.weight`, [width]],
      ]),
      ['model.norm.weight', [width]],
      ['lm_head.weight', [vocabulary, width]],
    ]
  const prefix = bare ? '' : 'bert.'
  return [
    [`${prefix}embeddings.word_embeddings.weight`, [vocabulary, width]],
    [`${prefix}embeddings.LayerNorm.weight`, [width]],
    ...Array.from({ length: layers }, (_, i) => i).flatMap((i): [string, number[]][] => [
      [`${prefix}encoder.layer.${i}.attention.self.query.weight`, [width, width]],
      [`${prefix}encoder.layer.${i}.attention.self.query.bias`, [width]],
      [`${prefix}encoder.layer.${i}.output.dense.weight`, [width, 2 * width]],
    ]),
    [`${prefix}pooler.dense.weight`, [width, width]],
    ...(bare
      ? []
      : ([
          ['classifier.weight', [labels?.length ?? 3, width]],
          ['classifier.bias', [labels?.length ?? 3]],
        ] as [string, number[]][])),
  ]
}

/** The values that a model is written with, in double precision. */
export function smallValues(model: SmallModel): Map<string, { shape: number[]; values: Float64Array }> {
  const { base = 0, seed = 0, omit = [] } = model
  return new Map(
    shapes(model)
      .filter(([name]) => !omit.includes(name))
      .map(([name, shape]) => {
        const bare = name.replace(/^bert\./, '')
        const [origin, change] = [random('base', base, bare), random('change', seed, bare)]
        const count = shape.reduce((product, size) => product * size, 1)
        const values = Float64Array.from(
          { length: count },
          (_, i) => 0.5 * origin.normal(i) + (seed === 0 ? 0 : 0.1 * change.normal(i)),
        )
        return [name, { shape, values: model.alter?.(name, values) ?? values }]
      }),
  )
}

export async function writeSmallModel(folder: string, model: SmallModel = {}): Promise<string> {
  const { dtype = 'F32', labels, layers = 2, vocabulary = 20, kind = 'bert' } = model
  const tensors = [...smallValues(model)].map(([name, { shape, values }]) => ({
    name,
    dtype,
    shape,
    data: fromFloat64(values, dtype),
  }))
  await writeCheckpoint(folder, {
    config: {
      model_type: kind === 'bert' ? 'bert' : 'llama',
      num_hidden_layers: layers,
      vocab_size: vocabulary,
      ...(kind === 'decoder' ? { tie_word_embeddings: false } : {}),
      ...(labels ? { id2label: Object.fromEntries(labels.map((label, i) => [i, label])) } : {}),
    },
    tensors,
    files: { 'espalier.json': '{}', ...model.files },
    ...(model.maxShardBytes === undefined ? {} : { maxShardBytes: model.maxShardBytes }),
  })
  return folder
}

export interface SmallAdapter {
  seed?: number
  layers?: number
  width?: number
  rank?: number
  alpha?: number
  config?: Readonly<Record<string, unknown>>
}

/** A LoRA adapter for a small BERT, as PEFT saves it: of every query and output matrix. */
export async function writeSmallAdapter(folder: string, adapter: SmallAdapter = {}): Promise<string> {
  const { seed = 0, layers = 2, width = 8, rank = 2, alpha = 4, config } = adapter
  await mkdir(folder, { recursive: true })
  const factor = (name: string, shape: [number, number]) => {
    const numbers = random('adapter', seed, name)
    const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => 0.2 * numbers.normal(i))
    return { name: `base_model.model.${name}`, dtype: 'F32' as const, shape, data }
  }
  const tensors = Array.from({ length: layers }, (_, i) => i).flatMap((i) => {
    const [query, dense] = ['attention.self.query', 'output.dense'].map((part) => `bert.encoder.layer.${i}.${part}`)
    return [
      factor(`${query}.lora_A.weight`, [rank, width]),
      factor(`${query}.lora_B.weight`, [width, rank]),
      factor(`${dense}.lora_A.weight`, [rank, 2 * width]),
      factor(`${dense}.lora_B.weight`, [width, rank]),
    ]
  })
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors)
  const settings = { peft_type: 'LORA', r: rank, lora_alpha: alpha, target_modules: ['query', 'output.dense'] }
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify({ ...settings, ...config }))
  return folder
}

/** A mixture of four experts in one layer. */
export async function writeSmallMoe(folder: string): Promise<string> {
  const tensor = (name: string, shape: [number, number]) => {
    const numbers = random(name)
    const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => numbers.normal(i))
    return { name, dtype: 'F32' as const, shape, data }
  }
  const prefix = 'model.layers.0.mlp'
  await writeCheckpoint(folder, {
    config: { model_type: 'qwen2_moe', num_experts: 4, num_experts_per_tok: 1 },
    tensors: [
      tensor(`${prefix}.gate.weight`, [4, 6]),
      ...[0, 1, 2, 3].flatMap((e) => [
        tensor(`${prefix}.experts.${e}.gate_proj.weight`, [5, 6]),
        tensor(`${prefix}.experts.${e}.up_proj.weight`, [5, 6]),
        tensor(`${prefix}.experts.${e}.down_proj.weight`, [6, 5]),
      ]),
    ],
  })
  return folder
}
