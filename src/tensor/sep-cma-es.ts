/**
 * Separable CMA-ES (Ros and Hansen, 2008): maximises a function of many numbers without gradients, by samples around a mean whose spread is learned
 * for each number. Random numbers are keyed, so equal functions give equal runs.
 */
import { random } from './random.ts'

export interface SepCmaEsOptions {
  /** Where the search starts. */
  start: ArrayLike<number>
  /** Spread of the first samples (default 0.15). */
  step?: number
  /** Calls of the function at most (default 400); whole generations are tried. */
  evaluations?: number
  /** Samples of a generation (default 4 + 3 ln n). */
  population?: number
  /** Default 0. */
  seed?: number
  /** Called after each generation. */
  onGeneration?: (report: { evaluations: number; best: number; mean: Float64Array }) => void
}

export interface SepCmaEsResult {
  /** The mean of the distribution: where values are noisy it is safer than the best sample. */
  readonly mean: Float64Array
  readonly best: Float64Array
  readonly bestValue: number
  readonly evaluations: number
}

/**
 * Maximises `value`.
 * @example
 * const { mean } = await maximize(async ([x, y]) => -((x - 1) ** 2) - (y + 2) ** 2, { start: [0, 0] })
 */
export async function maximize(
  value: (point: Float64Array) => number | Promise<number>,
  options: SepCmaEsOptions,
): Promise<SepCmaEsResult> {
  const { start, step = 0.15, evaluations = 400, seed = 0, onGeneration } = options
  const n = start.length
  const population = options.population ?? 4 + Math.floor(3 * Math.log(n))
  const parents = population >> 1
  const raw = Array.from({ length: parents }, (_, i) => Math.log(parents + 0.5) - Math.log(i + 1))
  const total = raw.reduce((sum, w) => sum + w, 0)
  const weights = raw.map((w) => w / total)
  const effective = 1 / weights.reduce((sum, w) => sum + w * w, 0)
  const cSigma = (effective + 2) / (n + effective + 5)
  const damping = 1 + 2 * Math.max(0, Math.sqrt((effective - 1) / (n + 1)) - 1) + cSigma
  const cPath = (4 + effective / n) / (n + 4 + (2 * effective) / n)
  // A diagonal has fewer numbers to learn than a matrix, so it learns faster by (n + 2) / 3.
  const faster = (n + 2) / 3
  const cOne = Math.min(1, (2 / ((n + 1.3) ** 2 + effective)) * faster)
  const cMu = Math.min(1 - cOne, ((2 * (effective - 2 + 1 / effective)) / ((n + 2) ** 2 + effective)) * faster)
  const expected = Math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))

  const mean = Float64Array.from(start)
  const variances = new Float64Array(n).fill(1)
  const sigmaPath = new Float64Array(n)
  const path = new Float64Array(n)
  let sigma = step
  let best = Float64Array.from(start)
  let bestValue = Number.NEGATIVE_INFINITY
  let used = 0
  for (let generation = 0; used + population <= evaluations; generation++) {
    const samples: { z: Float64Array; value: number }[] = []
    for (let k = 0; k < population; k++) {
      const numbers = random(seed, 'sep-cma-es', generation, k)
      const z = Float64Array.from({ length: n }, (_, j) => numbers.normal(j))
      const point = mean.map((m, j) => m + sigma * Math.sqrt(variances[j]!) * z[j]!)
      const found = await value(point)
      used++
      samples.push({ z, value: found })
      if (found > bestValue) {
        best = point
        bestValue = found
      }
    }
    const chosen = samples.sort((a, b) => b.value - a.value).slice(0, parents)
    const drift = new Float64Array(n)
    for (const [i, { z }] of chosen.entries()) for (let j = 0; j < n; j++) drift[j]! += weights[i]! * z[j]!
    let length = 0
    for (let j = 0; j < n; j++) {
      mean[j]! += sigma * Math.sqrt(variances[j]!) * drift[j]!
      sigmaPath[j] = (1 - cSigma) * sigmaPath[j]! + Math.sqrt(cSigma * (2 - cSigma) * effective) * drift[j]!
      length += sigmaPath[j]! ** 2
    }
    length = Math.sqrt(length)
    const fading = Math.sqrt(1 - (1 - cSigma) ** (2 * (generation + 1)))
    const steady = length / fading < (1.4 + 2 / (n + 1)) * expected ? 1 : 0
    for (let j = 0; j < n; j++) {
      const deviation = Math.sqrt(variances[j]!)
      path[j] = (1 - cPath) * path[j]! + steady * Math.sqrt(cPath * (2 - cPath) * effective) * deviation * drift[j]!
      let spread = 0
      for (const [i, { z }] of chosen.entries()) spread += weights[i]! * variances[j]! * z[j]! ** 2
      const lost = (1 - steady) * cPath * (2 - cPath)
      variances[j] = (1 - cOne - cMu) * variances[j]! + cOne * (path[j]! ** 2 + lost * variances[j]!) + cMu * spread
    }
    sigma *= Math.exp((cSigma / damping) * (length / expected - 1))
    onGeneration?.({ evaluations: used, best: bestValue, mean })
  }
  return { mean, best, bestValue, evaluations: used }
}
