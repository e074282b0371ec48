/** First values of a prompt: one vector for every word of a template, the mean of the table's rows of its tokens. */
import { fillNormal, random } from '../tensor/random.ts'
import type { SlotInput } from './head-method.ts'

/** A word; `mask` for the mask token; `free` for a vector that starts from chance. */
export type PromptPart = { readonly word: string } | 'mask' | 'free'

/** [parts, hidden]. A tokenizer without a mask token has chance's values in its place. */
export async function promptVectors(
  parts: readonly PromptPart[],
  {
    tokenizer,
    config,
    seed,
    weights,
    tokenTable,
  }: Pick<SlotInput, 'tokenizer' | 'config' | 'seed' | 'weights' | 'tokenTable'>,
): Promise<Float32Array> {
  const width = config.hiddenSize
  const { prefix, suffix } = tokenizer.frame
  const table = await weights(tokenTable)
  const vectors = new Float32Array(parts.length * width)
  fillNormal(vectors, random(seed, 'initial', 'slots.prefix.weight'), 0, config.initializerRange)
  for (const [i, part] of parts.entries()) {
    const ids = part === 'free' ? [] : part === 'mask' ? maskIds(tokenizer.maskId) : wordIds(part.word)
    if (ids.length === 0) continue
    const own = vectors.subarray(i * width, (i + 1) * width).fill(0)
    for (const id of ids) for (let k = 0; k < width; k++) own[k]! += table[id * width + k]! / ids.length
  }
  return vectors

  function wordIds(word: string): number[] {
    const ids = tokenizer.encode(word, 64)
    return Array.from(ids.subarray(prefix.length, ids.length - suffix.length))
  }
}

const maskIds = (id: number | undefined): number[] => (id === undefined ? [] : [id])
