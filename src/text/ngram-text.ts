/** Text as n-grams see it: Unicode compatibility form, lower case, code points with a class each. Any script; nothing is dropped but what is invisible. */

/** Ends or parts tokens. */
export const separator = 0
/** Stands in a word: letters, digits and marks of scripts that write words. */
export const wordPart = 1
/** A token by itself: ideographs and kana (no blanks between words), punctuation, symbols, emoji. */
export const ownToken = 2
/** Not part of the text: joiners, variation selectors, other format characters. */
const invisible = 3

const unknown = 255
/** Classes met so far, by code point. */
const classes = new Uint8Array(0x110000).fill(unknown)

function classify(code: number): number {
  const character = String.fromCodePoint(code)
  if (/\p{Cf}|\p{Variation_Selector}/u.test(character)) return invisible
  if (/[\s\p{Z}\p{C}]/u.test(character)) return separator
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(character)) return ownToken
  return /[\p{L}\p{N}\p{M}_]/u.test(character) ? wordPart : ownToken
}

export function characterClass(code: number): number {
  const seen = classes[code]!
  return seen === unknown ? (classes[code] = classify(code)) : seen
}

/** The form that n-grams are taken from: NFKC, lower case. */
export const normalizeText = (text: string): string => text.normalize('NFKC').toLowerCase()

/** Writes the visible code points of a normalised text, and their classes, until `codes` is full. Returns their number. */
export function writeCodePoints(normalized: string, codes: Uint32Array, kinds: Uint8Array): number {
  let length = 0
  for (let i = 0; i < normalized.length && length < codes.length; i++) {
    let code = normalized.charCodeAt(i)
    if (code >= 0xd800 && code < 0xdc00) {
      code = normalized.codePointAt(i)!
      if (code > 0xffff) i++
    }
    const kind = characterClass(code)
    if (kind === invisible) continue
    codes[length] = code
    kinds[length++] = kind
  }
  return length
}

const segmenter = /* @__PURE__ */ new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** For each code point that `writeCodePoints` writes, the start and end (UTF-16) of the grapheme in the original text that it comes from. */
export function originalSpans(text: string): { start: number; end: number }[] {
  const spans: { start: number; end: number }[] = []
  for (const { segment, index } of segmenter.segment(text)) {
    for (const character of normalizeText(segment)) {
      if (characterClass(character.codePointAt(0)!) !== invisible)
        spans.push({ start: index, end: index + segment.length })
    }
  }
  return spans
}
