/** Spearman's rank correlation, equal values sharing their mean rank. */
import { mean } from '../results-page.ts'

const ranksOf = (list: ArrayLike<number>): Float64Array => {
  const order = Array.from({ length: list.length }, (_, i) => i).sort((a, b) => list[a]! - list[b]! || a - b)
  const ranks = new Float64Array(list.length)
  for (let i = 0, end = 0; i < order.length; i = end) {
    end = i + 1
    while (end < order.length && list[order[end]!] === list[order[i]!]) end++
    for (let k = i; k < end; k++) ranks[order[k]!] = (i + end - 1) / 2
  }
  return ranks
}
function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [Array.from(a), Array.from(b)]
  const [mx, my] = [mean(x), mean(y)]
  const sum = (f: (i: number) => number) => x.reduce((total, _, i) => total + f(i), 0)
  return (
    sum((i) => (x[i]! - mx) * (y[i]! - my)) / Math.sqrt(sum((i) => (x[i]! - mx) ** 2) * sum((i) => (y[i]! - my) ** 2))
  )
}
export const spearman = (a: ArrayLike<number>, b: ArrayLike<number>) => correlation(ranksOf(a), ranksOf(b))
