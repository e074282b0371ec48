/** "Did you mean": nearest names by edit distance with transpositions (Damerau 1964, restricted form). */

/** Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, beforeLast[j - 2]! + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

/** Longer words are no slips of the hand, and would take long to compare. */
const longestWord = 500

/** The candidate nearest to `word`, or undefined if none is near enough to be a slip of the hand. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > longestWord) return undefined
  const folded = word.normalize('NFKC').toLowerCase()
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(folded.length / 3)) + 1
  for (const candidate of candidates) {
    if (candidate === word) continue
    if (Math.abs(candidate.length - folded.length) >= bestDistance) continue
    const distance = editDistance(folded, candidate.normalize('NFKC').toLowerCase())
    if (distance < bestDistance) {
      bestDistance = distance
      best = candidate
    }
  }
  return best
}

/** `did you mean "x"?`, or `fallback` if no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>, fallback: string): string {
  const guess = nearest(word, candidates)
  return guess === undefined ? fallback : `did you mean "${guess}"?`
}
