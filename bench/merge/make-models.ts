/** Checkpoints of real sizes with random weights, for benchmarks of merging: written once into a cache folder. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeCheckpoint } from '../../src/checkpoint/write-checkpoint.ts'
import { type Dtype, fromFloat32 } from '../../src/tensor/dtypes.ts'

export interface ModelSize {
  name: string
  config: Record<string, unknown>
  shapes: [string, number[]][]
}

export function bert({
  layers = 12,
  h = 768,
  vocabulary = 30_522,
  positions = 512,
  name = 'bert-base',
} = {}): ModelSize {
  const dense = (name: string, out: number, input: number): [string, number[]][] => [
    [`${name}.weight`, [out, input]],
    [`${name}.bias`, [out]],
  ]
  const norm = (name: string): [string, number[]][] => [
    [`${name}.weight`, [h]],
    [`${name}.bias`, [h]],
  ]
  const layer = (i: number) => {
    const p = `bert.encoder.layer.${i}`
    return [
      ...['query', 'key', 'value'].flatMap((part) => dense(`${p}.attention.self.${part}`, h, h)),
      ...dense(`${p}.attention.output.dense`, h, h),
      ...norm(`${p}.attention.output.LayerNorm`),
      ...dense(`${p}.intermediate.dense`, 4 * h, h),
      ...dense(`${p}.output.dense`, h, 4 * h),
      ...norm(`${p}.output.LayerNorm`),
    ]
  }
  return {
    name,
    config: {
      architectures: ['BertForSequenceClassification'],
      model_type: 'bert',
      hidden_size: h,
      num_hidden_layers: layers,
      num_attention_heads: h >= 64 ? h / 64 : 2,
      intermediate_size: 4 * h,
      vocab_size: vocabulary,
      max_position_embeddings: positions,
      type_vocab_size: 2,
    },
    shapes: [
      ['bert.embeddings.word_embeddings.weight', [vocabulary, h]],
      ['bert.embeddings.position_embeddings.weight', [positions, h]],
      ['bert.embeddings.token_type_embeddings.weight', [2, h]],
      ...norm('bert.embeddings.LayerNorm'),
      ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
      ...dense('bert.pooler.dense', h, h),
      ...dense('classifier', 2, h),
    ],
  }
}

/** A decoder in the shape of Llama 3.2 1B by default. */
export function decoder({
  layers = 16,
  h = 2048,
  wide = 8192,
  kv = 512,
  vocabulary = 128_256,
  tied = true,
} = {}): ModelSize {
  const layer = (i: number): [string, number[]][] => {
    const p = `model.layers.${i}`
    return [
      [`${p}.self_attn.q_proj.weight`, [h, h]],
      [`${p}.self_attn.k_proj.weight`, [kv, h]],
      [`${p}.self_attn.v_proj.weight`, [kv, h]],
      [`${p}.self_attn.o_proj.weight`, [h, h]],
      [`${p}.mlp.gate_proj.weight`, [wide, h]],
      [`${p}.mlp.up_proj.weight`, [wide, h]],
      [`${p}.mlp.down_proj.weight`, [h, wide]],
      [`${p}.input_layernorm.weight`, [h]],
      [`${p}.post_attention_layernorm.weight`, [h]],
    ]
  }
  return {
    name: `decoder-${layers}x${h}`,
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: h,
      num_hidden_layers: layers,
      intermediate_size: wide,
      num_attention_heads: h >= 64 ? h / 64 : 2,
      num_key_value_heads: kv >= 64 ? kv / 64 : 1,
      head_dim: h >= 64 ? 64 : h / 2,
      max_position_embeddings: 128,
      vocab_size: vocabulary,
      tie_word_embeddings: tied,
    },
    shapes: [
      ['model.embed_tokens.weight', [vocabulary, h]],
      ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
      ['model.norm.weight', [h]],
      ...(tied ? [] : ([['lm_head.weight', [vocabulary, h]]] as [string, number[]][])),
    ],
  }
}

/** Noise that is cheap to make: the sum of two uniform numbers, by a xorshift generator. */
function fillNoise(target: Float32Array, seed: number, deviation: number, add: boolean): void {
  let state = (seed * 2654435761 + 1) | 0 || 1
  const step = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state / 2147483648
  }
  const scale = deviation * 1.2
  for (let i = 0; i < target.length; i++) {
    const noise = (step() + step()) * scale
    target[i] = add ? target[i]! + noise : noise
  }
}

/** The folders of a base and `count` fine-tunes of it. Weights have a deviation of 0.04, changes of 0.002. */
export async function makeModels(cache: string, size: ModelSize, dtype: Dtype, count: number): Promise<string[]> {
  await mkdir(cache, { recursive: true })
  const folders: string[] = []
  for (let model = 0; model <= count; model++) {
    const folder = join(cache, `${size.name}-${dtype}-${model}`)
    folders.push(folder)
    if (existsSync(folder)) continue
    await writeCheckpoint(folder, {
      config: size.config,
      tensors: size.shapes.map(([name, shape], index) => ({
        name,
        dtype,
        shape,
        data: () => {
          const values = new Float32Array(shape.reduce((product, n) => product * n, 1))
          fillNoise(values, index + 1, 0.04, false)
          if (model > 0) fillNoise(values, 1000 * model + index, 0.002, true)
          return fromFloat32(values, dtype)
        },
      })),
    })
    await writeFile(join(folder, 'espalier.json'), '{}\n')
  }
  return folders
}
