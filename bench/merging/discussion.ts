/** What the numbers say: the order of methods, the done check of FT-Classifier, and where the loss is. */
import { mean } from '../results-page.ts'
import { literature } from './candidates.ts'
import { type Findings, percent, points, type Summary } from './summary.ts'

/** Ranks of values, 0 the least; equal ones share theirs. */
function ranksOf(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b)
  return values.map((value) => (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2)
}

function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranksOf(a), ranksOf(b)]
  const [mx, my] = [mean(x), mean(y)]
  const product = (p: readonly number[], mp: number, q: readonly number[], mq: number) =>
    p.reduce((sum, value, i) => sum + (value - mp) * (q[i]! - mq), 0)
  return product(x, mx, y, my) / Math.sqrt(product(x, mx, x, mx) * product(y, my, y, my))
}

/** How the measured order compares with the one in papers. */
export function ordering(ranked: readonly Summary[], individual: readonly number[], noise: number): string {
  const levels = literature.flatMap((names, level) =>
    names.flatMap((name) => {
      const found = ranked.find((summary) => summary.name === name)
      return found ? [{ name, level, own: mean(found.own), fitted: mean(found.fitted) }] : []
    }),
  )
  const expected = literature.map((names) => names.join(' = ')).join(' < ')
  if (levels.length < 3) return `Expected: ${expected} < individual. Too few of these methods were run.`
  const measured = [...levels].sort((a, b) => a.own - b.own).map(({ name, own }) => `${name} ${percent(own)}`)
  const limit = 2 * noise
  const pairs = levels.flatMap((a) => levels.flatMap((b) => (a.level < b.level ? [{ a, b }] : [])))
  const agreeing = pairs.filter(({ a, b }) => b.own - a.own > limit)
  const against = pairs.filter(({ a, b }) => a.own - b.own > limit)
  const level = levels.map((entry) => entry.level)
  return `- Expected: ${expected} < individual.
- Measured, own heads: ${measured.join(' < ')} < individual ${percent(mean(individual))}. Spearman correlation with the expected order ${spearman(
    level,
    levels.map(({ own }) => own),
  ).toFixed(2)}; after fitting ${spearman(
    level,
    levels.map(({ fitted }) => fitted),
  ).toFixed(2)}.
- Of ${pairs.length} pairs whose order is known, ${agreeing.length} stand in it by more than ${points(limit)} (two standard errors), ${pairs.length - agreeing.length - against.length} are not told apart, ${against.length} stand against it${against.length === 0 ? '.' : `: ${against.map(({ a, b }) => `${a.name} over ${b.name} by ${points(a.own - b.own)}`).join('; ')}.`}`
}

/** What the catalogue requires of FT-Classifier, with the shots of this run where it says 25. */
export function checks({ shots, curve }: Findings, dataFree: readonly Summary[], base: Summary): string {
  const least = (of: (summary: Summary) => number) =>
    dataFree.reduce((low, summary) => (of(summary) < of(low) ? summary : low), dataFree[0]!)
  const gain = (summary: Summary) => mean(summary.fitted) - mean(summary.own)
  const turned = (summary: Summary) => mean(summary.rotated) - mean(summary.own)
  const result: [what: string, found: string, good: boolean][] = []
  const [weak, unturned] = [least(gain), least(turned)]
  result.push([
    `${shots} shots gain at least 4 points on every merge (the catalogue: 25 shots)`,
    `the least gain is ${points(gain(weak))} (${weak.name})`,
    gain(weak) >= 0.04,
  ])
  result.push([
    'the rotation gains at least 1 point on every merge',
    `the least gain is ${points(turned(unturned))} (${unturned.name})`,
    turned(unturned) >= 0.01,
  ])
  const ties = dataFree.find(({ name }) => name === 'ties')
  if (ties) {
    const above = mean(ties.fitted) - mean(base.fitted)
    result.push([
      'the base encoder with fitted heads stays at least 15 points below the fitted TIES merge',
      `it is ${(100 * above).toFixed(2)} points below`,
      above >= 0.15,
    ])
  }
  const few = curve?.values.get(5)
  const elected = dataFree.find(({ name }) => name === curve?.method)
  if (few && elected) {
    const change = mean(few) - mean(elected.own)
    result.push([`5 shots lose at most 2 points (${elected.name})`, `they change ${points(change)}`, change >= -0.02])
  }
  return result.map(([what, found, good]) => `- ${what}: ${found}${good ? '' : ': **not met**'}.`).join('\n')
}

/** Whether merged features are the specialists' turned. */
export function misalignment(dataFree: readonly Summary[], experts: number, top: number): string {
  const knn = mean(dataFree.map(({ neighbours }) => mean(neighbours)))
  const own = mean(dataFree.map((summary) => mean(summary.own)))
  const explained = mean(dataFree.map((summary) => summary.explained))
  return `Over the data-free merges, heads lose ${points(top - own)} on merged features, k-NN loses ${points(experts - knn)}: the classes are ${experts - knn < (top - own) / 2 ? 'mostly still' : 'no longer all'} there, and the heads no longer point at them. One
orthogonal map explains ${(100 * explained).toFixed(0)} % of the distance only: merged features are not the specialists' features turned, they are also changed in themselves.`
}

/** How much of the loss is not the heads': k-NN needs none. */
export function lostInFeatures(best: Summary, experts: number, top: number): string {
  const features = experts - mean(best.neighbours)
  const heads = top - mean(best.own)
  const share = features / heads
  return `k-NN, which needs no head, loses ${points(features)} from the specialists' features to the merged ones, ${(100 * share).toFixed(0)} % of the ${points(heads)} that heads lose: by that measure ${(100 * (1 - share)).toFixed(0)} % of the loss is heads that no longer fit, the rest is what merging did to the features.`
}
