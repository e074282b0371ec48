/** Makes texts ready for explanation methods: a method fit for the model, the node to explain, tokens, and scores of masked texts. */
import type { HeadLayout } from '../labels/head-layout.ts'
import { nodeScore, type ScoreKind } from '../labels/node-score.ts'
import type { ModelParts } from '../models/model-parts.ts'
import { InputError } from '../util/errors.ts'
import type { ExplainMethod, TextToExplain } from './explain-method.ts'
import { type Explainable, partsOf } from './explainable.ts'
import { defaultRemoval, maskedText } from './masked-text.ts'
import { integratedGradients } from './methods/integrated-gradients.ts'
import { linearExplanation } from './methods/linear.ts'

/** The method for a model unless the caller says: the exact one for n-grams, integrated gradients for encoders. */
export const defaultMethod = ({ kind }: ModelParts): ExplainMethod =>
  kind === 'ngram' ? linearExplanation() : integratedGradients()

/** Throws InputError `EXPLAIN_METHOD` if the method does not work on models of this kind. */
export function checkMethod(method: ExplainMethod, { kind }: ModelParts): void {
  if (method.needs === 'any' || method.needs === kind) return
  const instead = kind === 'ngram' ? 'linear, which is exact for ngram models' : 'integrated-gradients'
  throw new InputError(
    'EXPLAIN_METHOD',
    `Method ${method.name} needs an ${method.needs} model, this is an ${kind} model`,
    {
      help: `use ${instead}, or one of occlusion, lime, kernel-shap, which work on any model`,
    },
  )
}

/** Throws InputError `TEXT_EMPTY`. */
export function checkTexts(texts: readonly string[]): void {
  const empty = texts.findIndex((text) => text.trim() === '')
  if (empty >= 0)
    throw new InputError('TEXT_EMPTY', `Text ${empty + 1} is empty`, {
      help: 'give a text with at least one visible character',
    })
}

export interface PreparedText extends TextToExplain {
  readonly node: number
  /** Marginal probability of the node. */
  readonly probability: number
}

export interface PrepareOptions {
  /** The node to explain. Default: the most probable end of a path. */
  readonly node?: number | undefined
  readonly score?: ScoreKind | undefined
  readonly seed?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Scores a text and prepares it for a method. */
export async function prepareText(model: Explainable, text: string, options: PrepareOptions): Promise<PreparedText> {
  const parts = partsOf(model)
  const { signal, seed = 0 } = options
  const masked = maskedText(parts, text)
  const whole = new Uint8Array(masked.tokens.length).fill(1)
  const [logits] = await masked.logits([whole], 'delete', signal)
  const probabilities = model.probabilities(logits!)
  const node = options.node ?? mostProbable(model, probabilities)
  const { layout, temperature } = model.settings
  const units: HeadLayout = { ...layout, unitNodes: Int32Array.from(layout.unitNodes) }
  const target = nodeScore(units, model.tree, temperature, node, options.score)
  const removalOf = defaultRemoval(parts)
  return {
    text,
    masked,
    target,
    node,
    probability: probabilities.marginal[node]!,
    logits: logits!,
    full: target.value(logits!),
    seed,
    signal,
    async score(keeps, removal = removalOf) {
      return Float64Array.from(await masked.logits(keeps, removal, signal), (row) => target.value(row))
    },
  }
}

function mostProbable(
  { settings, terminals }: Explainable,
  probabilities: { marginal: Float64Array; ending: Float64Array },
) {
  const values = settings.multiLabel ? probabilities.marginal : probabilities.ending
  let best = terminals[0]!
  for (const node of terminals) if (values[node]! > values[best]!) best = node
  return best
}
