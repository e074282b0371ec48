/** A BERT encoder in the layout that llama.cpp reads (its architecture "bert"): embeddings, or with a head its outputs by the pooling type "rank". */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatPath } from '../../labels/label-tree.ts'
import { fromFloat32, toFloat32 } from '../../tensor/dtypes.ts'
import { InputError } from '../../util/errors.ts'
import { layoutOf, treeFile } from '../classifier.ts'
import { encodeGguf, type GgufTensor, type GgufValue, readGgufTensors } from './gguf-file.ts'
import type { EncoderParts, ExportSource } from './open-source.ts'
import { type Parity, ParityCheck } from './parity.ts'

const modelFile = 'model.gguf'
/** llama.cpp's numbers: mean pooling, and the output of a head. */
const poolings = { mean: 1, rank: 4 }
const tokenTypes = { normal: 1, unknown: 2, control: 3 }

const globalNames: Record<string, string> = {
  'embeddings.word_embeddings': 'token_embd',
  'embeddings.position_embeddings': 'position_embd',
  'embeddings.token_type_embeddings': 'token_types',
  'embeddings.LayerNorm': 'token_embd_norm',
  'pooler.dense': 'cls',
  classifier: 'cls.output',
}
const layerNames: Record<string, string> = {
  'attention.self.query': 'attn_q',
  'attention.self.key': 'attn_k',
  'attention.self.value': 'attn_v',
  'attention.output.dense': 'attn_output',
  'attention.output.LayerNorm': 'attn_output_norm',
  'intermediate.dense': 'ffn_up',
  'output.dense': 'ffn_down',
  'output.LayerNorm': 'layer_output_norm',
}

/** A state dict key as llama.cpp names it. */
export function ggufName(key: string): string {
  const [, module, kind] = /^(?:bert\.)?(.+)\.(weight|bias)$/.exec(key)!
  const [, layer, part] = /^encoder\.layer\.(\d+)\.(.+)$/.exec(module!) ?? []
  return layer === undefined ? `${globalNames[module!]}.${kind}` : `blk.${layer}.${layerNames[part!]}.${kind}`
}

/** @throws InputError `EXPORT_KIND` for other families, activations or tokenizers; RunError `EXPORT_DIFFERS` */
export async function writeGguf(
  folder: string,
  source: ExportSource,
  { model, weights, tokenizer, maxLength }: EncoderParts,
  type: 'F32' | 'F16',
): Promise<Parity> {
  const { config } = model
  const { classifier } = source
  const vocabulary = wordPieces(JSON.parse(tokenizer.files()['tokenizer.json']!))
  if (
    config.slots !== undefined ||
    config.family !== 'bert' ||
    config.activation !== 'gelu' ||
    config.tokenTypes === 0 ||
    !vocabulary
  )
    throw new InputError(
      'EXPORT_KIND',
      'gguf has a form for BERT with gelu, its own head and a WordPiece tokenizer only',
      {
        where: { file: source.folder },
        help: 'use --format onnx, transformers or safetensors',
      },
    )
  const tensors = model.parameters.map(({ name, shape }): GgufTensor => {
    const values = weights.get(name)!
    // llama.cpp keeps vectors and position tables in 32 bits.
    const half = type === 'F16' && shape.length === 2 && !/(position|token_type)_embeddings/.test(name)
    const data = half ? new Uint16Array(fromFloat32(values, 'F16').buffer) : values
    return { name: ggufName(name), shape, type: half ? 'F16' : 'F32', data }
  })
  const id = (token: string) => ({ u32: tokenizer.idOf(token) ?? tokenizer.padId })
  const values = new Map<string, GgufValue>([
    ['general.architecture', { string: 'bert' }],
    ['general.file_type', { u32: type === 'F16' ? 1 : 0 }],
    ['bert.block_count', { u32: config.layers }],
    ['bert.context_length', { u32: config.maxLength }],
    ['bert.embedding_length', { u32: config.hiddenSize }],
    ['bert.feed_forward_length', { u32: config.intermediateSize }],
    ['bert.attention.head_count', { u32: config.heads }],
    ['bert.attention.layer_norm_epsilon', { f32: config.layerNormEpsilon }],
    ['bert.attention.causal', { bool: false }],
    ['bert.pooling_type', { u32: classifier ? poolings.rank : poolings.mean }],
    ['tokenizer.ggml.model', { string: 'bert' }],
    ['tokenizer.ggml.pre', { string: 'default' }],
    ['tokenizer.ggml.token_type_count', { u32: config.tokenTypes }],
    ['tokenizer.ggml.tokens', { strings: vocabulary.map(({ token }) => phantomSpace(token)) }],
    ['tokenizer.ggml.token_type', { i32s: vocabulary.map(({ token, special }) => typeOf(token, special)) }],
    ['tokenizer.ggml.bos_token_id', id('[CLS]')],
    ['tokenizer.ggml.cls_token_id', id('[CLS]')],
    ['tokenizer.ggml.eos_token_id', id('[SEP]')],
    ['tokenizer.ggml.seperator_token_id', id('[SEP]')],
    ['tokenizer.ggml.unknown_token_id', id('[UNK]')],
    ['tokenizer.ggml.padding_token_id', { u32: tokenizer.padId }],
    ['tokenizer.ggml.mask_token_id', id('[MASK]')],
  ])
  if (classifier) {
    const { tree, settings } = classifier
    const labels = Array.from(layoutOf(settings).unitNodes, (node) => formatPath(tree.path(node)))
    values.set('bert.classifier.output_labels', { strings: labels })
    values.set('espalier.label_tree', { string: JSON.stringify(tree) })
    values.set('espalier.max_length', { u32: maxLength })
    await writeFile(join(folder, treeFile), `${JSON.stringify(tree, null, 1)}\n`)
  }
  await writeFile(join(folder, modelFile), encodeGguf(values, tensors))
  const written = readGgufTensors(new Uint8Array(await readFile(join(folder, modelFile))))
  const parity = new ParityCheck('tensors', 0)
  for (const [index, { name, type, data }] of written.entries()) {
    const { name: key } = model.parameters[index]!
    const kept = weights.get(key)!
    const expected = type === 'F16' ? toFloat32(fromFloat32(kept, 'F16'), 'F16') : kept
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    parity.compare(name, expected, toFloat32(bytes, type))
  }
  return parity.result()
}

interface Piece {
  token: string
  special: boolean
}

/** The tokens of a WordPiece tokenizer by id; undefined for others. */
function wordPieces(json: Record<string, unknown>): Piece[] | undefined {
  const model = json['model'] as { type?: string; vocab?: Record<string, number>; continuing_subword_prefix?: string }
  if (model.type !== 'WordPiece' || (model.continuing_subword_prefix ?? '##') !== '##' || !model.vocab) return undefined
  const added = (json['added_tokens'] ?? []) as { content: string; id: number; special: boolean }[]
  const pieces: Piece[] = []
  for (const [token, id] of Object.entries(model.vocab)) pieces[id] = { token, special: false }
  for (const { content, id, special } of added) pieces[id] = { token: content, special }
  return pieces.includes(undefined as never) ? undefined : pieces
}

/** llama.cpp marks the pieces that begin a word, where BERT's files mark those that do not. */
function phantomSpace(token: string): string {
  if (/^\[.*\]$/.test(token)) return token
  return token.startsWith('##') ? token.slice(2) : `\u2581${token}`
}

function typeOf(token: string, special: boolean): number {
  if (token === '[UNK]') return tokenTypes.unknown
  return special || /^\[(?:PAD|CLS|SEP|MASK)\]$/.test(token) ? tokenTypes.control : tokenTypes.normal
}
