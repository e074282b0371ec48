/** Makes the scorer of `htc-llm`: nothing is trained but, for the strategy `retrieve`, the local model that finds candidates. */
import { headTargets } from '../labels/head-targets.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { trainLinear } from '../train/linear.ts'
import { InputError } from '../util/errors.ts'
import type { OwnPlan, OwnTraining } from './head-method.ts'
import { drawExamples } from './llm/example-bank.ts'
import { type CallPlan, planCalls } from './llm/plan-calls.ts'
import type { Strategy } from './llm/strategies.ts'
import { estimateTokens } from './llm/token-ledger.ts'
import { type LlmConfig, llmModelType, llmScorer } from './llm-scorer.ts'
import type { TrainingCost } from './plan-encoder.ts'
import { planNgram } from './plan-ngram.ts'
import type { Scorer } from './scorer.ts'
import type { LabelledTexts } from './training-data.ts'

export interface LlmMethodOptions {
  readonly endpoint: string
  readonly model: string
  readonly strategy: Strategy | 'auto'
  readonly shots: number
  readonly candidates: number
  readonly maxOptions: number
  readonly shuffle: boolean
  readonly goBack: boolean
  readonly repairs: number
  readonly concurrency: number
  readonly timeoutSeconds: number
  readonly retries: number
  readonly apiKeyEnv: string
  readonly priceInput: number
  readonly priceOutput: number
  readonly priceCached?: number | undefined
}

/** Texts looked at to know how long they are. */
const sampledTexts = 1000

/** One list of all labels while it is short enough; else a list of candidates where each label has a row to find them by; else level by level. */
export function settleStrategy(
  { strategy, maxOptions }: Pick<LlmMethodOptions, 'strategy' | 'maxOptions'>,
  ends: number,
  rows: number,
): Strategy {
  if (strategy !== 'auto') return strategy
  return ends <= maxOptions ? 'direct-leaf' : rows >= ends ? 'retrieve' : 'top-down'
}

export async function trainLlmScorer(training: OwnTraining, options: LlmMethodOptions): Promise<Scorer> {
  const { tree, layout, train, options: run } = training
  const ends = [...layout.unitNodes]
  const strategy = settleStrategy(options, ends.length, train.texts.length)
  const seed = run.seed ?? 0
  const config: LlmConfig = {
    model_type: llmModelType,
    strategy,
    endpoint: options.endpoint,
    model: requireModel(options),
    apiKeyEnv: options.apiKeyEnv,
    candidates: options.candidates,
    shuffle: options.shuffle,
    goBack: options.goBack,
    repairs: options.repairs,
    concurrency: options.concurrency,
    timeoutSeconds: options.timeoutSeconds,
    retries: options.retries,
    seed,
    prices: pricesOf(options),
  }
  const bank = drawExamples(tree, train, options.shots, seed)
  if (strategy !== 'retrieve') return llmScorer({ config, tree, ends, bank })
  const { model } = await trainLinear(
    {
      texts: train.texts,
      layout,
      targets: headTargets(layout, tree, train.labels),
      tree,
      seed,
      ...(run.threads === undefined ? {} : { threads: run.threads }),
    },
    run,
  )
  return llmScorer({ config, tree, ends, bank, retriever: model })
}

/** The plan of a training, whose notes are what answering will cost with each strategy. */
export async function planLlm(
  { tree, layout, train, threads, seed }: OwnPlan,
  options: LlmMethodOptions,
): Promise<TrainingCost> {
  requireModel(options)
  const ends = [...layout.unitNodes]
  const strategy = settleStrategy(options, ends.length, train.texts.length)
  const plans = planStrategies(tree, ends, train, seed, options)
  const local = strategy === 'retrieve' ? planNgram(layout, train.texts, threads) : undefined
  return {
    ...(local ?? { steps: 0, parameters: 0, peakMemoryBytes: 150e6, seconds: 1, weightBytes: 0 }),
    notes: [
      `answers come from ${options.model} at ${options.endpoint}, by the strategy ${strategy}`,
      ...plans.map((plan) => `${describePlan(plan)}${plan.strategy === strategy ? ' (chosen)' : ''}`),
    ],
  }
}

/** What each strategy costs for a text as long as those of the rows, few-shot examples included. */
export function planStrategies(
  tree: LabelTree,
  ends: readonly number[],
  train: LabelledTexts,
  seed: number,
  options: Pick<LlmMethodOptions, 'shots' | 'candidates' | 'priceInput' | 'priceOutput' | 'priceCached'>,
): CallPlan[] {
  const sample = train.texts.slice(0, sampledTexts)
  const textTokens = sample.reduce((sum, text) => sum + estimateTokens(text), 0) / Math.max(1, sample.length)
  const bank = drawExamples(tree, train, options.shots, seed)
  return planCalls({ tree, ends, bank, textTokens, candidates: options.candidates, prices: pricesOf(options) })
}

function describePlan({ strategy, calls, inputTokens, outputTokens, price }: CallPlan): string {
  const tokens = `${Math.round(inputTokens)} input and ${Math.round(outputTokens)} output tokens`
  const money = price > 0 ? `, ${(1000 * price).toPrecision(3)} for 1,000 texts` : ''
  const count = calls.toFixed(1).replace(/\.0$/, '')
  return `${strategy}: ${count} ${count === '1' ? 'call' : 'calls'} a text, ${tokens}${money}`
}

const pricesOf = ({
  priceInput,
  priceOutput,
  priceCached,
}: Pick<LlmMethodOptions, 'priceInput' | 'priceOutput' | 'priceCached'>) => ({
  input: priceInput,
  output: priceOutput,
  ...(priceCached === undefined ? {} : { cached: priceCached }),
})

function requireModel({ model }: LlmMethodOptions): string {
  if (model !== '') return model
  throw new InputError('METHOD_OPTION', 'htc-llm expects the name of a model at the endpoint', {
    where: { key: 'htc-llm › model' },
    help: 'give it: --method-option model=NAME',
  })
}
