/** Small random models for the differential test: fine-tunes of one base in several dtypes, with adapters and with vocabularies of their own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { writeCheckpoint } from '../../src/checkpoint/write-checkpoint.ts'
import { writeSafetensors } from '../../src/checkpoint/write-safetensors.ts'
import { isVocabulary } from '../../src/merge/plan/tensor-names.ts'
import { type Dtype, fromFloat64 } from '../../src/tensor/dtypes.ts'
import { permutation, random } from '../../src/tensor/random.ts'
import { bert, decoder, type ModelSize } from './make-models.ts'

export type Kind = 'bert' | 'decoder'

export const layersOf: Record<Kind, number> = { bert: 3, decoder: 4 }

const sizes: Record<Kind, ModelSize> = {
  bert: bert({ layers: layersOf.bert, h: 16, vocabulary: 64, positions: 20, name: 'bert' }),
  decoder: decoder({ layers: layersOf.decoder, h: 16, wide: 40, kv: 8, vocabulary: 64, tied: false }),
}

/** A fine-tune's tokens: the base has w0 to w63; others lack some, have further ones, and number them differently. */
function vocabularyOf(model: number): string[] {
  const base = Array.from({ length: 64 }, (_, i) => `w${i}`)
  if (model === 0) return base
  const own = [
    ...base.filter((_, i) => i % 7 !== model),
    ...Array.from({ length: 6 }, (_, i) => `new${i % 2 === 0 ? '' : model}-${i}`),
  ]
  return Array.from(permutation(own.length, random('vocabulary', model)), (i) => own[i]!)
}

export class TestModels {
  private readonly folder: string
  private readonly made = new Set<string>()

  constructor(folder: string) {
    this.folder = folder
  }

  get count(): number {
    return this.made.size
  }

  /** The folder of a model: 0 is the base, 1 to 3 its fine-tunes; with `own` it has its own vocabulary. */
  async model(kind: Kind, dtype: Dtype, model: number, own = false): Promise<string> {
    const folder = join(this.folder, `${kind}-${dtype}-${model}${own ? '-own' : ''}`)
    if (this.made.has(folder)) return folder
    this.made.add(folder)
    const { config, shapes } = sizes[kind]
    const tokens = vocabularyOf(own ? model : 0)
    const vocabulary = Object.fromEntries(tokens.map((token, id) => [token, id]))
    await writeCheckpoint(folder, {
      config: { ...config, vocab_size: tokens.length },
      files: {
        'tokenizer.json': JSON.stringify({
          version: '1.0',
          added_tokens: [],
          pre_tokenizer: { type: 'Whitespace' },
          model: { type: 'WordLevel', vocab: vocabulary, unk_token: 'w0' },
        }),
        'tokenizer_config.json': JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', unk_token: 'w0' }),
      },
      tensors: shapes.map(([name, shape]) => {
        const sized = isVocabulary(name.replace('bert.', '')) ? [tokens.length, ...shape.slice(1)] : shape
        return { name, dtype, shape: sized, data: fromFloat64(valuesOf(kind, name, model, sized), dtype) }
      }),
    })
    return folder
  }

  /** An adapter for a fine-tune, in float32 as PEFT trains them. */
  async adapter(kind: Kind, model: number): Promise<string> {
    const folder = join(this.folder, `lora-${kind}-${model}`)
    if (this.made.has(folder)) return folder
    this.made.add(folder)
    await mkdir(folder)
    const targets = kind === 'bert' ? ['query', 'value'] : ['q_proj', 'up_proj']
    const rank = 4
    await writeFile(
      join(folder, 'adapter_config.json'),
      JSON.stringify({ peft_type: 'LORA', r: rank, lora_alpha: 6, target_modules: targets, bias: 'none' }),
    )
    const factors = sizes[kind].shapes.flatMap(([name, shape]) => {
      const module = name.replace(/\.weight$/, '')
      if (name.endsWith('.bias') || !targets.some((target) => module.endsWith(`.${target}`))) return []
      return [['lora_A', [rank, shape[1]!]] as const, ['lora_B', [shape[0]!, rank]] as const].map(([half, shape]) => ({
        name: `base_model.model.${module}.${half}.weight`,
        dtype: 'F32' as const,
        shape: [...shape],
        data: fromFloat64(noise(shape[0]! * shape[1]!, 0.05, basename(folder), module, half), 'F32'),
      }))
    })
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), factors)
    return folder
  }
}

function noise(length: number, deviation: number, ...key: (string | number)[]): Float64Array {
  const numbers = random(...key)
  return Float64Array.from({ length }, (_, i) => deviation * numbers.normal(i))
}

function valuesOf(kind: Kind, name: string, model: number, shape: readonly number[]): Float64Array {
  const length = shape.reduce((product, n) => product * n, 1)
  const origin = noise(length, 0.05, kind, name)
  if (model === 0) return origin
  const change = noise(length, 0.01, kind, name, model)
  return origin.map((x, i) => x + change[i]!)
}
