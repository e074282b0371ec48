/** What a tensor's name tells: the layer it belongs to, the prefix of its model's backbone, and whether it is an embedding or a head. */

const layerNumber = /\.(\d+)\./

export interface LayerName {
  /** The name up to the layer's number: `bert.encoder.layer`. */
  readonly stack: string
  readonly index: number
  /** What follows the number: `attention.self.query.weight`. */
  readonly rest: string
}

/** The layer a tensor belongs to, by the first number in its name. */
export function layerOf(name: string): LayerName | undefined {
  const found = layerNumber.exec(name)
  if (!found) return undefined
  return {
    stack: name.slice(0, found.index),
    index: Number(found[1]),
    rest: name.slice(found.index + found[0].length),
  }
}

export function layerName(stack: string, index: number, rest: string): string {
  return `${stack}.${index}.${rest}`
}

const backbones = new Set(
  'bert roberta distilbert electra albert deberta mpnet model transformer gpt_neox backbone encoder_model'.split(' '),
)

/**
 * The prefix that a whole model puts before the names of its backbone (`bert.`), or an empty text. A checkpoint of the bare backbone has
 * none; names are compared without it.
 */
export function backbonePrefix(names: Iterable<string>): string {
  const layers = [...names].filter((name) => layerOf(name) !== undefined)
  const first = layers[0]?.split('.')[0]
  if (first === undefined || !backbones.has(first)) return ''
  const prefix = `${first}.`
  return layers.every((name) => name.startsWith(prefix)) ? prefix : ''
}

/** A name without its model's backbone prefix. */
export function withoutPrefix(name: string, prefix: string): string {
  return prefix !== '' && name.startsWith(prefix) ? name.slice(prefix.length) : name
}

/** Tensors of a task head: they belong to one label set and are not merged unless the label sets agree. Names are without prefix. */
export function isHead(name: string): boolean {
  return /^(classifier|score|classification_head|qa_outputs|heads?)\./.test(name)
}

/** Tensors with one row for each token. Names are without prefix. */
export function isVocabulary(name: string): boolean {
  return (
    isInputEmbedding(name) ||
    isOutputEmbedding(name) ||
    /(^|\.)(cls\.predictions\.bias|lm_head\.bias|vocab_projector\.bias|generator_lm_head\.bias)$/.test(name)
  )
}

export function isInputEmbedding(name: string): boolean {
  return /(^|\.)(word_embeddings|embed_tokens|wte|tok_embeddings|embed_in|shared|token_embedding)\.weight$/.test(name)
}

export function isOutputEmbedding(name: string): boolean {
  return /(^|\.)(lm_head|embed_out|output_projection|vocab_projector|cls\.predictions\.decoder|lm_head\.decoder)\.weight$/.test(
    name,
  )
}

/** Whether a tensor outside the layers comes before them (embeddings) or after (final norm, pooler, heads). */
export function isBeforeLayers(name: string): boolean {
  return /embed|(^|\.)(wte|wpe)\./.test(name) && !isOutputEmbedding(name)
}
