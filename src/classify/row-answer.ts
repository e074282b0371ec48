/** What a classifier says of one text, whichever form its scores have: predicted labels, probabilities, the best candidates. */
import { type Decoder, decode, decodeRanked } from '../labels/decode.ts'
import type { NodeProbabilities } from '../labels/node-probabilities.ts'
import type { RankedProbabilities } from '../labels/ranked-probabilities.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { ClassifierCore } from './classifier-core.ts'
import type { RankOptions } from './scorer.ts'

export interface RowAnswer {
  /** Ids predicted, ascending; empty if the model abstains. */
  readonly predicted: number[]
  /** Probability that a label is among the row's labels or their ancestors. */
  probability(id: number): number
  /** The most probable ends of paths, most probable first; ties by id. With several labels per row, by their marginal probability. */
  readonly top: { id: number; probability: number }[]
  /** Log of the probability of the gold labels and their ancestors: of the end of the path, or of every yes and no. */
  logLikelihood(closure: readonly number[]): number
}

export interface AnswerOptions extends RankOptions {
  /** Candidates in `top`. */
  topK: number
  minConfidence?: number
  decoder?: Decoder
}

/** Keeps log-likelihoods finite where a model gives the truth no chance. */
const leastProbability = 1e-12
/** Units that a ranking scorer is asked for at least: probabilities are shared among them. */
const leastRanked = 10
const chunkRows = 1024

/** Answers texts in chunks and hands each row's answer to `use`, in order. */
export async function answerRows(
  model: ClassifierCore,
  texts: readonly string[],
  options: AnswerOptions,
  use: (answer: RowAnswer, row: number) => void,
): Promise<void> {
  const { scorer } = model
  const decoder = options.decoder ?? model.decoder
  const chunk = Math.max(options.batch ?? 64, chunkRows)
  const minConfidence = options.minConfidence ?? model.settings.minConfidence
  for (let start = 0; start < texts.length; start += chunk) {
    throwIfAborted(options.signal)
    const part = texts.slice(start, start + chunk)
    if (scorer.rank) {
      const name = rankedDecoder(decoder)
      const { offsets, units, logits } = await scorer.rank(part, Math.max(leastRanked, options.topK), options)
      for (let row = 0; row < part.length; row++) {
        const [from, to] = [offsets[row]!, offsets[row + 1]!]
        const probabilities = model.rankedProbabilities(units.subarray(from, to), logits.subarray(from, to))
        use(rankedAnswer(model, name, probabilities, options.topK, minConfidence), start + row)
      }
    } else {
      const logits = await scorer.score(part, options)
      for (let row = 0; row < part.length; row++) {
        const probabilities = model.probabilities(logits.subarray(row * scorer.units, (row + 1) * scorer.units))
        use(denseAnswer(model, decoder, probabilities, options.topK, minConfidence), start + row)
      }
    }
    options.onProgress?.({
      step: 'predict',
      done: Math.min(start + chunk, texts.length),
      total: texts.length,
      unit: 'texts',
    })
  }
}

function rankedDecoder({ name }: Decoder): 'leaf-up' | 'threshold' {
  if (name === 'leaf-up' || name === 'threshold') return name
  throw new InputError(
    'DECODER_RANKED',
    `The decoder ${name} needs the scores of all labels, this model ranks the best`,
    {
      help: 'use --decoder leaf-up or threshold',
    },
  )
}

/** Ids predicted for one row: ascending; empty if the model abstains. */
export function predictedNodes(
  { tree, terminals, thresholds, settings, decoder: usual }: ClassifierCore,
  probabilities: NodeProbabilities,
  minConfidence = settings.minConfidence,
  decoder = usual,
): number[] {
  return decode(decoder, tree, terminals, thresholds, probabilities, minConfidence)
}

/** The `k` most probable ends of paths, most probable first; ties by id. With several labels per row, by their marginal probability. */
export function topEnds(
  { terminals, settings }: ClassifierCore,
  { marginal, ending }: NodeProbabilities,
  k: number,
): { id: number; probability: number }[] {
  return best(terminals, settings.multiLabel ? (id) => marginal[id]! : (id) => ending[id]!, k)
}

function denseAnswer(
  model: ClassifierCore,
  decoder: Decoder,
  probabilities: NodeProbabilities,
  k: number,
  minConfidence: number,
): RowAnswer {
  const { tree, settings } = model
  const { marginal, ending } = probabilities
  return {
    predicted: predictedNodes(model, probabilities, minConfidence, decoder),
    probability: (id) => marginal[id]!,
    top: topEnds(model, probabilities, k),
    logLikelihood(closure) {
      if (!settings.multiLabel) return pathLikelihood(model, closure, (id) => ending[id]!)
      let sum = 0
      let at = 0
      for (let id = 0; id < tree.size; id++) {
        const isGold = closure[at] === id
        if (isGold) at++
        sum += Math.log(Math.max(leastProbability, isGold ? marginal[id]! : 1 - marginal[id]!))
      }
      return Math.min(0, sum)
    },
  }
}

function rankedAnswer(
  model: ClassifierCore,
  decoder: 'leaf-up' | 'threshold',
  probabilities: RankedProbabilities,
  k: number,
  minConfidence: number,
): RowAnswer {
  const { tree, settings, thresholds } = model
  const { marginal, ending } = probabilities
  const probability = (id: number) => marginal.get(id) ?? 0
  const ends = Array.from(ending.keys()).sort((a, b) => a - b)
  return {
    predicted: decodeRanked(decoder, tree, thresholds, probabilities, minConfidence),
    probability,
    top: best(ends, settings.multiLabel ? probability : (id) => ending.get(id)!, k),
    logLikelihood(closure) {
      if (!settings.multiLabel) return pathLikelihood(model, closure, (id) => ending.get(id) ?? 0)
      // A label that is neither listed nor gold is a sure no.
      const gold = new Set(closure)
      let sum = 0
      for (const id of gold) sum += Math.log(Math.max(leastProbability, probability(id)))
      for (const [id, own] of marginal) if (!gold.has(id)) sum += Math.log(Math.max(leastProbability, 1 - own))
      return Math.min(0, sum)
    },
  }
}

function pathLikelihood({ tree }: ClassifierCore, closure: readonly number[], ending: (id: number) => number): number {
  const end = tree.ends(closure)[0]
  return Math.log(end === undefined ? leastProbability : Math.min(1, Math.max(leastProbability, ending(end))))
}

function best(ids: Iterable<number>, value: (id: number) => number, k: number): { id: number; probability: number }[] {
  const top: { id: number; probability: number }[] = []
  for (const id of ids) {
    const probability = value(id)
    if (top.length === k && probability <= top[k - 1]!.probability) continue
    let at = top.length
    while (at > 0 && top[at - 1]!.probability < probability) at--
    top.splice(at, 0, { id, probability })
    if (top.length > k) top.pop()
  }
  return top
}
