/** Vectors to the JSON that /embed, /v1/embeddings and /rerank send. */
import type { SentenceEncoder } from '../../models/sentence-encoder.ts'
import { InputError } from '../../util/errors.ts'
import type { EmbedTask, RerankTask } from './protocol.ts'

export async function embedTexts(
  encoder: SentenceEncoder,
  texts: readonly string[],
): Promise<{ vectors: Float32Array[]; tokens: number[] }> {
  const tokens = texts.map((text) => encoder.tokens(text, encoder.maxLength))
  return { vectors: await encoder.embed(tokens), tokens: tokens.map(({ length }) => length) }
}

/** @throws InputError `DIMENSIONS` if more values are asked for than a vector has. */
export function embedBody(vectors: readonly Float32Array[], task: EmbedTask): string {
  const { dimensions, normalize, form } = task
  const made = vectors.map((vector) => {
    if (dimensions !== undefined && dimensions > vector.length)
      throw new InputError('DIMENSIONS', `Expected dimensions of at most ${vector.length}, received ${dimensions}`)
    const kept = vector.subarray(0, dimensions)
    return normalize ? unit(kept) : kept
  })
  if (form === 'rows') return JSON.stringify(made.map((vector) => Array.from(vector)))
  return JSON.stringify(
    made.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: form === 'base64' ? base64(vector) : Array.from(vector),
    })),
  )
}

/** Texts by their cosine to the query, which stands first among the vectors: (1 + cosine) / 2, or the cosine itself as raw score. */
export function rerankBody([query, ...vectors]: readonly Float32Array[], task: RerankTask): string {
  const { texts, rawScores, returnText } = task
  const wanted = unit(query!)
  const ranks = vectors.map((vector, index) => {
    const own = unit(vector)
    const cosine = Math.max(
      -1,
      Math.min(
        1,
        wanted.reduce((sum, value, i) => sum + value * own[i]!, 0),
      ),
    )
    return { index, ...(returnText ? { text: texts[index]! } : {}), score: rawScores ? cosine : (1 + cosine) / 2 }
  })
  return JSON.stringify(ranks.sort((a, b) => b.score - a.score || a.index - b.index))
}

/** The vector at length 1; zeros stay zeros. */
function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  return length > 0 ? vector.map((value) => value / length) : vector
}

const base64 = (vector: Float32Array): string => {
  const bytes = Float32Array.from(vector)
  return Buffer.from(bytes.buffer).toString('base64')
}
