/** Where tokens lie in the original text: each normalised character is traced to the grapheme it came from, then tokens are laid over them. */

export interface TokenSpan {
  token: string
  /** UTF-16 offsets in the original text; start equals end for a token that stands for no character. */
  start: number
  end: number
}

interface Traced {
  text: string
  /** For each UTF-16 unit of `text`, where its grapheme begins and ends in the original. */
  starts: number[]
  ends: number[]
}

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })

/**
 * Normalises grapheme by grapheme, save the added tokens, which stand as they are. What a normaliser does across graphemes (rare) moves
 * offsets by a grapheme at most.
 */
function trace(original: string, normalize: (text: string) => string, added: RegExp): Traced {
  const traced: Traced = { text: '', starts: [], ends: [] }
  const put = (piece: string, start: number, end: number) => {
    traced.text += piece
    for (let i = 0; i < piece.length; i++) {
      traced.starts.push(start)
      traced.ends.push(end)
    }
  }
  let at = 0
  for (const part of original.split(added)) {
    if (part.match(added)?.[0] === part) put(part, at, at + part.length)
    else
      for (const { segment, index } of graphemes.segment(part))
        put(segment === ' ' ? ' ' : normalize(segment), at + index, at + index + segment.length)
    at += part.length
  }
  return traced
}

/** The bytes that GPT-2's byte-level alphabet writes as letters: printable bytes as themselves, the rest from U+0100 on. */
const byteOfLetter = new Map<string, number>()
for (let byte = 0, shifted = 256; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  byteOfLetter.set(String.fromCharCode(printable ? byte : shifted++), byte)
}

/**
 * The spans of tokens (without special ones added) in the original text.
 *
 * @param added Matches the added tokens, in one capturing group.
 * @param style `bytes` for byte-level vocabularies (GPT-2, RoBERTa), `pieces` for all others.
 */
export function tokenSpans(
  tokens: readonly string[],
  original: string,
  normalize: (text: string) => string,
  added: RegExp,
  style: 'bytes' | 'pieces',
  surfaceOf: (token: string) => string | undefined,
): TokenSpan[] {
  const traced = trace(original, normalize, added)
  return style === 'bytes' ? byteSpans(tokens, traced) : pieceSpans(tokens, traced, surfaceOf)
}

function span(token: string, traced: Traced, from: number, to: number): TokenSpan {
  while (from < to && /\s/.test(traced.text[from]!)) from++
  while (to > from && /\s/.test(traced.text[to - 1]!)) to--
  if (from < to) return { token, start: traced.starts[from]!, end: traced.ends[to - 1]! }
  const at = from < traced.starts.length ? traced.starts[from]! : (traced.ends.at(-1) ?? 0)
  return { token, start: at, end: at }
}

/** Byte-level tokens cover the normalised text byte by byte. */
function byteSpans(tokens: readonly string[], traced: Traced): TokenSpan[] {
  const unitOfByte: number[] = []
  for (let unit = 0; unit < traced.text.length; ) {
    const code = traced.text.codePointAt(unit)!
    const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    for (let i = 0; i < bytes; i++) unitOfByte.push(unit)
    unit += code > 0xffff ? 2 : 1
  }
  unitOfByte.push(traced.text.length)
  const lengths = tokens.map((token) =>
    [...token].every((letter) => byteOfLetter.has(letter)) ? [...token].length : new TextEncoder().encode(token).length,
  )
  const total = lengths.reduce((sum, length) => sum + length, 0)
  let at = unitOfByte.length - 1 - total // -1 if a space was put before the text
  const unit = (byte: number) => unitOfByte[Math.min(Math.max(byte, 0), unitOfByte.length - 1)]!
  return tokens.map((token, i) => {
    const from = at
    at += lengths[i]!
    const last = Math.max(unit(at - 1), unit(from))
    const width = (traced.text.codePointAt(last) ?? 0) > 0xffff ? 2 : 1
    return span(token, traced, unit(from), at > 0 ? Math.min(last + width, traced.text.length) : 0)
  })
}

const word = /[^\s\p{P}]+|\p{P}/uy

/** Other tokens follow one another in the normalised text, white space between them; an unknown one takes a word. */
function pieceSpans(
  tokens: readonly string[],
  traced: Traced,
  surfaceOf: (token: string) => string | undefined,
): TokenSpan[] {
  let at = 0
  return tokens.map((token) => {
    while (at < traced.text.length && /\s/.test(traced.text[at]!)) at++
    const surface = surfaceOf(token)
    let from = at
    let to = at
    if (surface === undefined) {
      word.lastIndex = at
      to = at + (word.exec(traced.text)?.[0].length ?? 0)
    } else if (surface !== '') {
      const found = traced.text.startsWith(surface, at) ? at : traced.text.indexOf(surface, at)
      if (found >= 0) {
        from = found
        to = found + surface.length
      }
    }
    at = Math.max(at, to)
    return span(token, traced, from, to)
  })
}
