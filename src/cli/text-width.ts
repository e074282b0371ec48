/** How wide text stands in a terminal, in cells, by Unicode's East Asian Width (UAX 11) and grapheme clusters (UAX 29). */

let segmenter: Intl.Segmenter | undefined
/** Making a segmenter takes longer than the rest of a short command: it is made for the first text that needs one. */
const segments = (text: string): Intl.Segments =>
  (segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' })).segment(text)

const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|^[\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}|\ufe0f/u
const invisible = /^[\p{Mark}\p{Format}]+$/u
/** Only characters of one cell that never join others: Latin, punctuation, arrows, box drawing. */
const simple = /^[ -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2500-\u25a0]*$/
const control = /[\p{Cc}\u2028\u2029]/u
const controls = /[\p{Cc}\u2028\u2029]+/gu
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences
const escapes = /\x1b\[[0-9;]*m/g

/** User text made safe to print on one line: runs of control characters (line ends, escapes) become one space. */
export function printable(text: string): string {
  return control.test(text) ? text.replace(controls, ' ').trim() : text
}

/** Cells that `text` takes; colour sequences take none. */
export function textWidth(text: string): number {
  const plain = text.includes('\x1b') ? text.replace(escapes, '') : text
  if (simple.test(plain)) return plain.length
  let width = 0
  for (const { segment } of segments(plain)) width += graphemeWidth(segment)
  return width
}

function graphemeWidth(grapheme: string): number {
  if (invisible.test(grapheme)) return 0
  return wide.test(grapheme) ? 2 : 1
}

/** Cuts plain text to at most `width` cells, the last one an ellipsis. Never cuts inside a grapheme. */
export function truncate(text: string, width: number): string {
  if (text.length <= width && simple.test(text)) return text
  let used = 0
  let cut = 0
  for (const { segment, index } of segments(text)) {
    used += graphemeWidth(segment)
    if (used > width) return width < 1 ? '' : `${text.slice(0, cut).trimEnd()}…`
    if (used < width) cut = index + segment.length
  }
  return text
}

/** Cuts the middle out of plain text, for paths whose end matters as much as their start. */
export function truncateMiddle(text: string, width: number): string {
  if (textWidth(text) <= width) return text
  const graphemes = Array.from(segments(text), ({ segment }) => segment)
  const head: string[] = []
  const tail: string[] = []
  let left = width - 1
  for (let start = 0, end = graphemes.length - 1; start <= end; ) {
    const fromTail = tail.length <= head.length
    const grapheme = fromTail ? graphemes[end--]! : graphemes[start++]!
    left -= graphemeWidth(grapheme)
    if (left < 0) break
    if (fromTail) tail.unshift(grapheme)
    else head.push(grapheme)
  }
  return `${head.join('')}…${tail.join('')}`
}

export const padEnd = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - textWidth(text)))
export const padStart = (text: string, width: number): string => ' '.repeat(Math.max(0, width - textWidth(text))) + text

/** Breaks text at spaces into lines of at most `width` cells; a longer word stands on a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && textWidth(line) + 1 + textWidth(word) > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
