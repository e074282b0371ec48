/** A text cut at its tokens, so that each can be shown with what it adds. */

export interface Piece {
  start: number
  text: string
  /** Undefined between tokens. */
  value?: number
}

/** Tokens are in order of their place; one that overlaps the one before it loses the shared part. */
export function marked(text: string, tokens: readonly { start: number; end: number; value: number }[]): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  for (const { start, end, value } of [...tokens].sort((a, b) => a.start - b.start)) {
    const from = Math.max(at, start)
    if (end <= from) continue
    if (from > at) pieces.push({ start: at, text: text.slice(at, from) })
    pieces.push({ start: from, text: text.slice(from, end), value })
    at = end
  }
  if (at < text.length) pieces.push({ start: at, text: text.slice(at) })
  return pieces
}
