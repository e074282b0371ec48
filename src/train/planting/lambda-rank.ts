/**
 * LambdaRank (Burges, Ragno and Le, Learning to rank with nonsmooth cost functions, 2006): a pair's push is that of RankNet times what swapping the two
 * would change in nDCG.
 */

/** Steepness of the pairwise logistic. */
const sigma = 0.5

/** A pair's push on the score of i (and, negated, of j): positive lowers s_i. `order` is 1 if i is the more relevant, -1 if j is. */
export function pairLambda(scoreI: number, scoreJ: number, order: 1 | -1): number {
  return sigma * (0.5 * (1 - order) - 1 / (1 + Math.exp(sigma * (scoreI - scoreJ))))
}

/** What a place of the ranking (from 0) is worth. */
export const discount = (place: number, depth: number): number => (place < depth ? 1 / Math.log2(place + 2) : 0)

/** Gain of a grade: its cube. 2^grade without "-1" would give irrelevant tokens a gain of 1. */
export const gainOf = (grade: number): number => grade ** 3

/** DCG of the best order. */
export function idealGain(gains: readonly number[] | Float64Array, depth: number): number {
  const best = Float64Array.from(gains).sort().reverse()
  let sum = 0
  for (let place = 0; place < Math.min(depth, best.length); place++) sum += best[place]! * discount(place, depth)
  return sum
}

/**
 * Pushes on the scores of one list, to be subtracted after scaling, and its nDCG before. A list without a relevant item has neither.
 * @param scores and `gains` of the items; `lambdas` is overwritten.
 * @param depth places that count.
 */
export function listLambdas(
  scores: Float64Array,
  gains: Float64Array,
  depth: number,
  lambdas: Float64Array,
): number | undefined {
  lambdas.fill(0)
  const ideal = idealGain(gains, depth)
  if (ideal === 0) return undefined
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b)
  let gained = 0
  for (let high = 0; high < Math.min(depth, order.length); high++) {
    const i = order[high]!
    gained += gains[i]! * discount(high, depth)
    // A swap changes something only if one of the two places counts.
    for (let low = high + 1; low < order.length; low++) {
      const j = order[low]!
      if (gains[i] === gains[j]) continue
      const change = Math.abs((gains[i]! - gains[j]!) * (discount(high, depth) - discount(low, depth))) / ideal
      const lambda = pairLambda(scores[i]!, scores[j]!, gains[i]! > gains[j]! ? 1 : -1) * change
      lambdas[i]! += lambda
      lambdas[j]! -= lambda
    }
  }
  return gained / ideal
}
