/** The verb explain: which tokens of a text speak for a label, and which against it. */
import type { ScoreKind } from '../labels/node-score.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { ExplainMethod } from './explain-method.ts'
import { type Explainable, partsOf } from './explainable.ts'
import { checkMethod, checkTexts, defaultMethod, prepareText } from './texts.ts'

export interface ExplainOptions extends RunOptions {
  /** Default: `linearExplanation()` for ngram models, `integratedGradients()` for encoders. */
  method?: ExplainMethod
  /** Path of the label to explain, a leaf or an inner one; a name that occurs once in the tree will do. Default: each text's most probable one. */
  label?: readonly string[]
  /**
   * What is explained: `log-odds` of the label's probability (default), the `probability` itself, or the label's `logit`, which only a label that is
   * an output of the head has.
   */
  score?: ScoreKind
  /** Seed of sampled methods. Default 0. */
  seed?: number
}

export interface TokenAttribution {
  readonly text: string
  /** UTF-16 offsets in the text. */
  readonly start: number
  readonly end: number
  /** What the token adds to the score; negative values speak against the label. */
  readonly value: number
}

export interface Explanation {
  readonly text: string
  readonly method: string
  /** Path of the label that is explained. */
  readonly label: string[]
  /** The label's probability, 0 to 1. */
  readonly probability: number
  readonly score: {
    readonly kind: ScoreKind
    readonly value: number
    /** The score that the attributions start from: without tokens, or at the baseline. */
    readonly base?: number
    /** |base + sum of attributions - value|, where the method promises that they are equal. */
    readonly error?: number
  }
  readonly tokens: readonly TokenAttribution[]
  /** The text is longer than the model reads: tokens beyond are not among `tokens`. */
  readonly truncated: boolean
  /** Numbers of the method: steps, samples, fit. */
  readonly details: Readonly<Record<string, number>>
}

/**
 * Explains a classifier's answers, token by token.
 * @param model a classifier from `train` or `loadClassifier`.
 * @param texts any script; an empty text is refused.
 * @returns one explanation per text, in order.
 * @throws InputError `TEXT_EMPTY`, `LABEL_UNKNOWN`, `EXPLAIN_MODEL`, `EXPLAIN_METHOD`, `EXPLAIN_LOGIT`, `EXPLAIN_CERTAIN`, `EXPLAIN_MASK`.
 * @example
 * const [explanation] = await explain(model, ['book a table for two'], { label: ['kitchen_and_dining'] })
 * explanation.tokens // [{ text: 'book', start: 0, end: 4, value: 0.9 }, ...]
 */
export async function explain(
  model: Explainable,
  texts: readonly string[],
  options: ExplainOptions = {},
): Promise<Explanation[]> {
  const parts = partsOf(model)
  const { method = defaultMethod(parts), label, score, seed, signal, onProgress } = options
  checkMethod(method, parts)
  checkTexts(texts)
  if (label?.length === 0)
    throw new InputError('LABEL_UNKNOWN', 'Expected the path of a label, received an empty one', {
      help: 'give a path such as travel › translate',
    })
  const node = label === undefined ? undefined : model.tree.resolve(label)
  const explainer = await method.open(parts)
  try {
    const explanations: Explanation[] = []
    for (const text of texts) {
      throwIfAborted(signal)
      const prepared = await prepareText(model, text, { node, score, seed, signal })
      const { values, base, details } = await explainer.attribute(prepared)
      const sum = values.reduce((total, value) => total + value, 0)
      explanations.push({
        text,
        method: method.name,
        label: model.tree.path(prepared.node),
        probability: prepared.probability,
        score: {
          kind: prepared.target.kind,
          value: prepared.full,
          ...(base === undefined ? {} : { base, error: Math.abs(base + sum - prepared.full) }),
        },
        tokens: prepared.masked.tokens.map((token, i) => ({ ...token, value: values[i]! })),
        truncated: prepared.masked.truncated,
        details,
      })
      onProgress?.({ step: 'explain', done: explanations.length, total: texts.length, unit: 'texts' })
    }
    return explanations
  } finally {
    await explainer.close()
  }
}
