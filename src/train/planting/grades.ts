/** Relevance grades of tokens for a label: bins of their ranks, the finer the nearer to the top. From PLANT (Roy et al., 2024), step 2. */

/** Shares of the ranking at which bins end: 0, then 100 in equal ratios from 1e-4 to 1. */
const edges = [0, ...Array.from({ length: 100 }, (_, i) => 10 ** (-4 + (4 * i) / 99))]

/**
 * Grades of the tokens of one label, 101 for the best; tokens of equal value have equal grades, those of value 0 have grade 0.
 * @param values of the tokens, 0 or more.
 */
export function relevanceGrades(values: Float32Array): Uint8Array {
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b)
  const grades = new Uint8Array(values.length)
  let rank = 0
  let bin = 0
  for (const [place, token] of order.entries()) {
    if (!(values[token]! > 0)) break
    if (place === 0 || values[token]! < values[order[place - 1]!]!) rank = place
    // Tolerance of one rounding: the last edge is 1.
    while (edges[bin]! * (values.length - 1) < rank * (1 - 1e-12)) bin++
    grades[token] = edges.length - bin
  }
  return grades
}
