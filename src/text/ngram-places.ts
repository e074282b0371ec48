/**
 * Where the words and n-grams of a text stand: every occurrence, by the hash that the kernel gives them (tensor/kernels/ngrams.as.ts, which keeps
 * the first only). For explanations; features are made by the kernel.
 */
import { maxTextLength, type NgramOptions } from './ngram-hasher.ts'
import { normalizeText, originalSpans, separator, wordPart, writeCodePoints } from './ngram-text.ts'

/** Code points `start` to `end` of the normalised text. */
export interface CodeRange {
  readonly start: number
  readonly end: number
}

export interface TextWord {
  /** UTF-16 units of the original text, whole graphemes. */
  readonly start: number
  readonly end: number
  readonly text: string
}

export interface NgramText {
  readonly codes: Uint32Array
  readonly classes: Uint8Array
  /** The words of the text in order; several tokens within one grapheme are one word. */
  readonly words: readonly TextWord[]
  /** The word of each code point; -1 for separators. */
  readonly wordOf: Int32Array
}

/** The code points of a text as n-grams see them, and its words. */
export function ngramText(text: string): NgramText {
  const normalized = normalizeText(text)
  const room = Math.min(maxTextLength, normalized.length)
  const codes = new Uint32Array(room)
  const classes = new Uint8Array(room)
  const length = writeCodePoints(normalized, codes, classes)
  const spans = originalSpans(text)
  const words: { start: number; end: number }[] = []
  const wordOf = new Int32Array(length).fill(-1)
  for (let i = 0; i < length; i++) {
    if (classes[i] === separator) continue
    const span = spans[Math.min(i, spans.length - 1)]!
    const last = words.at(-1)
    const goesOn = i > 0 && classes[i] === wordPart && classes[i - 1] === wordPart
    if (last && (goesOn || span.start < last.end)) last.end = Math.max(last.end, span.end)
    else words.push({ ...span })
    wordOf[i] = words.length - 1
  }
  return {
    codes: codes.subarray(0, length),
    classes: classes.subarray(0, length),
    words: words.map(({ start, end }) => ({ start, end, text: text.slice(start, end) })),
    wordOf,
  }
}

function mix(h: number): number {
  h ^= h >>> 16
  h = Math.imul(h, 0x7feb352d)
  h ^= h >>> 15
  h = Math.imul(h, 0x846ca68b)
  return h ^ (h >>> 16)
}

const join = (a: number, b: number): number => mix((Math.imul(a, 0x9e3779b1) + b + 0x85ebca6b) | 0)

/** Every occurrence of every n-gram, by hash. */
export function ngramPlaces(
  { codes, classes }: NgramText,
  { minCharacters, maxCharacters }: NgramOptions,
): Map<number, CodeRange[]> {
  const places = new Map<number, CodeRange[]>()
  const add = (hash: number, start: number, end: number) => {
    const known = places.get(hash >>> 0)
    if (known) known.push({ start, end })
    else places.set(hash >>> 0, [{ start, end }])
  }
  const tokens = tokensOf(codes, classes)
  for (const [t, { hash, start, end }] of tokens.entries()) {
    if (t > 0 && t + 1 < tokens.length) add(join(hash, 1) & ~1, start, end)
    const next = tokens[t + 1]
    if (next && tokens.length > 2) add(join(Math.imul(hash, 31), next.hash) & ~1, start, next.end)
  }
  const blank = 32
  const stream: { code: number; at: number }[] = [{ code: blank, at: 0 }]
  for (const [at, code] of codes.entries()) {
    if (classes[at] !== separator) stream.push({ code, at })
    else if (stream.at(-1)!.code !== blank) stream.push({ code: blank, at })
  }
  if (stream.length > 1 && stream.at(-1)!.code !== blank) stream.push({ code: blank, at: codes.length })
  for (let i = 0; i < stream.length; i++) {
    let hash = 0x1b873593
    for (let n = 1; n <= maxCharacters && i + n <= stream.length; n++) {
      const { code, at } = stream[i + n - 1]!
      hash = join(hash, code)
      if (n >= minCharacters) add(hash | 1, stream[i]!.at, code === blank ? at : at + 1)
    }
  }
  return places
}

/** The tokens with their hashes, framed by one begin and one end token. */
function tokensOf(codes: Uint32Array, classes: Uint8Array): { hash: number; start: number; end: number }[] {
  const { length } = codes
  const tokens = [{ hash: 0x2545f491, start: 0, end: 0 }]
  for (let i = 0; i < length; ) {
    const kind = classes[i]
    if (kind === separator) {
      i++
      continue
    }
    const start = i
    let hash = 0x811c9dc5
    do {
      hash = Math.imul(hash ^ codes[i]!, 0x01000193)
      hash ^= hash >>> 15
      i++
    } while (kind === wordPart && i < length && classes[i] === wordPart)
    tokens.push({ hash: mix(hash), start, end: i })
  }
  tokens.push({ hash: 0x9f4a7c15 | 0, start: length, end: length })
  return tokens
}
