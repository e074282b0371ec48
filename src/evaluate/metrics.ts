/** All metrics of a classifier on a label tree from gold and predicted label sets, in one call. Definitions are those of each metric's own file. */
import type { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'
import { judgePaths, type Reliability, reliability } from './calibration.ts'
import { siblingConfusions } from './confusions.ts'
import { type HierarchicalScores, hierarchicalScores } from './hierarchical.ts'
import { checkIdSets, closeIdSets, type IdSets, rowCount, type ScoredIds } from './id-sets.ts'
import { countLabels, f1Of, macroF1, microF1, selectCounts } from './label-counts.ts'
import { type F1Pair, pathConstrainedF1, type StrictPathScores, strictPathF1 } from './path-metrics.ts'
import { type AtK, inversePropensities, propensityScoredPrecisionAt, rankingScores } from './ranking.ts'
import { rowAgreement } from './row-agreement.ts'

export interface EvaluationInput {
  tree: LabelTree
  /** Per row the gold labels; ancestors are added here. */
  gold: IdSets
  /** Per row all predicted labels, ancestors included (what is missing counts against `consistency`). With `scores`, each label's probability. */
  predicted: IdSets | ScoredIds
  /** Per row the best candidates for the end of a path, best first; the top few are enough. Measured against the ends of the gold paths. */
  ranking?: IdSets | ScoredIds
  /** Per row the log of the probability that the model gave to the gold labels. */
  logLikelihoods?: Float64Array | Float32Array
  /** Training frequency of every label and number of training rows, for propensity-scored precision. */
  training?: { counts: ArrayLike<number>; rows: number }
  /** How many sibling pairs to keep, default 100. */
  confusionLimit?: number
}

export interface LevelScores {
  level: number
  accuracy: number
  microF1: number
  macroF1: number
  /** Gold labels on this level. */
  support: number
}

export interface LabelScores {
  path: string[]
  /** Rows in which it is gold. */
  support: number
  predicted: number
  precision: number
  recall: number
  f1: number
}

export interface Confusion {
  a: string[]
  b: string[]
  count: number
  aAsB: number
  bAsA: number
}

export interface Metrics {
  n: number
  microF1: number
  macroF1: number
  leafAccuracy: number
  exactPath: number
  levels: LevelScores[]
  hierarchical: HierarchicalScores
  pathConstrained: F1Pair
  pathStrict: StrictPathScores
  precisionAt?: AtK
  recallAt?: AtK
  ndcgAt?: AtK
  rPrecision?: number
  propensityScoredPrecisionAt?: AtK
  /** Expected calibration error of the predicted paths' probabilities, 15 bins. */
  ece?: number
  brier?: number
  reliability?: Reliability['bins']
  /** Mean negative log-likelihood of the gold labels, in nats. */
  nll?: number
  consistency: number
  abstained: number
  /** By label id. */
  perLabel: LabelScores[]
  confusions: Confusion[]
}

/**
 * Computes every metric that the given input allows; linear in rows and labels.
 * @throws InputError `DATA_EMPTY`, `EVALUATE_ROWS`, `EVALUATE_LABEL`, `SCORES_NAN`, `PROBABILITY_RANGE`
 * @example
 * const metrics = computeMetrics({ tree, gold: idSets([[0, 2]]), predicted: idSets([[0, 3]]) })
 * metrics.levels[0].accuracy // 1
 */
export function computeMetrics(input: EvaluationInput): Metrics {
  const { tree, predicted } = input
  const n = rowCount(input.gold)
  if (n === 0)
    throw new InputError('DATA_EMPTY', 'There is no row to evaluate on', { help: 'give a file with at least one row' })
  checkIdSets('gold', input.gold, tree, n)
  checkIdSets('predicted', predicted, tree, n)
  const gold = closeIdSets(tree, input.gold)
  const counts = countLabels(tree.size, gold, predicted)
  const agreement = rowAgreement(tree, gold, predicted)
  const levels = agreement.levelAccuracy.map((accuracy, index): LevelScores => {
    const own = selectCounts(counts, tree.level(index + 1))
    const support = own.gold.reduce((sum, count) => sum + count, 0)
    return { level: index + 1, accuracy, microF1: microF1(own), macroF1: macroF1(own), support }
  })
  const perLabel = tree.nodes.map(({ id }): LabelScores => {
    const [right, support, taken] = [counts.right[id]!, counts.gold[id]!, counts.predicted[id]!]
    return {
      path: tree.path(id),
      support,
      predicted: taken,
      precision: taken === 0 ? 0 : right / taken,
      recall: support === 0 ? 0 : right / support,
      f1: f1Of(right, taken, support),
    }
  })
  const confusions = siblingConfusions(tree, gold, predicted, input.confusionLimit ?? 100).map((pair) => ({
    ...pair,
    a: tree.path(pair.a),
    b: tree.path(pair.b),
  }))
  return {
    n,
    microF1: microF1(counts),
    macroF1: macroF1(counts),
    leafAccuracy: agreement.leafAccuracy,
    exactPath: agreement.exactPath,
    levels,
    hierarchical: hierarchicalScores(tree, gold, predicted),
    pathConstrained: pathConstrainedF1(tree, gold, predicted),
    pathStrict: strictPathF1(tree, gold, predicted),
    ...rankingMetrics(input, n),
    ...probabilityMetrics(input, n),
    consistency: agreement.consistency,
    abstained: agreement.abstained,
    perLabel,
    confusions,
  }
}

type RankingMetrics = Pick<
  Metrics,
  'precisionAt' | 'recallAt' | 'ndcgAt' | 'rPrecision' | 'propensityScoredPrecisionAt'
>

function rankingMetrics({ tree, gold, ranking, training }: EvaluationInput, n: number): RankingMetrics {
  if (!ranking) return {}
  checkIdSets('ranking', ranking, tree, n)
  const ends = endsOf(tree, gold)
  const { precisionAt, recallAt, ndcgAt, rPrecision } = rankingScores(tree.size, ends, ranking)
  return {
    precisionAt,
    recallAt,
    ndcgAt,
    rPrecision,
    ...(training && training.rows >= 3
      ? {
          propensityScoredPrecisionAt: propensityScoredPrecisionAt(
            ends,
            ranking,
            inversePropensities(training.counts, training.rows),
          ),
        }
      : {}),
  }
}

function probabilityMetrics(
  { tree, gold, predicted, logLikelihoods }: EvaluationInput,
  n: number,
): Pick<Metrics, 'ece' | 'brier' | 'reliability' | 'nll'> {
  const nll = logLikelihoods === undefined ? {} : { nll: meanNll(logLikelihoods, n) }
  if (!('scores' in predicted)) return nll
  const { bins, ece, brier } = reliability(judgePaths(tree, gold, predicted))
  return { ece, brier, ...nll, reliability: bins }
}

function meanNll(logLikelihoods: Float64Array | Float32Array, n: number): number {
  if (logLikelihoods.length !== n)
    throw new InputError('EVALUATE_ROWS', `Expected ${n} log-likelihoods, received ${logLikelihoods.length}`)
  const bad = logLikelihoods.findIndex((value) => !(value <= 1e-6) || value === Number.NEGATIVE_INFINITY)
  if (bad >= 0)
    throw new InputError(
      Number.isNaN(logLikelihoods[bad]) ? 'SCORES_NAN' : 'PROBABILITY_RANGE',
      `Row ${bad + 1}: expected a log-likelihood that is finite and at most 0, received ${logLikelihoods[bad]}`,
      { data: { row: bad } },
    )
  let sum = 0
  for (const value of logLikelihoods) sum += value
  return -sum / n
}

/** Of every row, the labels that are no ancestor of another one. */
function endsOf(tree: LabelTree, sets: IdSets): IdSets {
  const offsets = new Uint32Array(sets.offsets.length)
  const ids = new Uint32Array(sets.ids.length)
  const coveredIn = new Int32Array(tree.size).fill(-1)
  let length = 0
  for (let row = 0; row < rowCount(sets); row++) {
    const own = sets.ids.subarray(sets.offsets[row]!, sets.offsets[row + 1]!)
    for (const id of own) for (const ancestor of tree.ancestors(id)) coveredIn[ancestor] = row
    for (const id of own) if (coveredIn[id] !== row) ids[length++] = id
    offsets[row + 1] = length
  }
  return { offsets, ids: ids.slice(0, length) }
}
