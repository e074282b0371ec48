/** Texts that are almost another text: shingles of words (Broder, On the resemblance and containment of documents, 1997), exact resemblance. */
import { normalizeText } from '../text/ngram-text.ts'

const shingleWords = 4

/**
 * For each text the earlier text that it nearly repeats, or -1: texts whose sets of shingles (4 words in a row) have at least `resemblance` of their union
 * in common.
 * @param resemblance above 0 to 1.
 */
export function nearDuplicates(texts: readonly string[], resemblance: number): Int32Array {
  const holders = new Map<string, number[]>()
  const sizes: number[] = []
  const repeats = new Int32Array(texts.length).fill(-1)
  for (const [row, text] of texts.entries()) {
    const shingles = shinglesOf(text)
    sizes.push(shingles.size)
    const common = new Map<number, number>()
    for (const shingle of shingles)
      for (const other of holders.get(shingle) ?? []) common.set(other, (common.get(other) ?? 0) + 1)
    for (const [other, count] of common) {
      if (count / (shingles.size + sizes[other]! - count) < resemblance) continue
      repeats[row] = repeats[row] === -1 ? other : Math.min(repeats[row]!, other)
    }
    // What repeats an earlier text is found through that text; so lists stay short however often a text occurs.
    if (repeats[row] === -1)
      for (const shingle of shingles) {
        const list = holders.get(shingle)
        if (list) list.push(row)
        else holders.set(shingle, [row])
      }
  }
  return repeats
}

/** Runs of 4 words; a shorter text is one shingle. */
function shinglesOf(text: string): Set<string> {
  const words = normalizeText(text).match(/[\p{L}\p{N}\p{M}_]+/gu) ?? [text]
  if (words.length < shingleWords) return new Set([words.join(' ')])
  return new Set(words.slice(shingleWords - 1).map((_, i) => words.slice(i, i + shingleWords).join(' ')))
}
