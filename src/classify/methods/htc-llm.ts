/** Hierarchical classification by a chat model that is never trained: direct leaf, direct hierarchical, top-down multi-step, and retrieval before them. */
import * as v from 'valibot'
import { InputError } from '../../util/errors.ts'
import { defineHeadMethod } from '../head-method.ts'
import { strategies } from '../llm/strategies.ts'
import type { LlmMethodOptions } from '../train-llm.ts'

const whole = (least: number, most: number) => v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most))
const price = v.pipe(v.number(), v.minValue(0), v.finite())

/**
 * Lets a chat model behind any OpenAI-compatible endpoint choose the label; nothing is trained, each text costs calls. One path per row. A reply that
 * names no offered label is asked for once more, then the text has no answer.
 * - `endpoint` (default `http://127.0.0.1:11434/v1`), `model` (required), `apiKeyEnv` (default `OPENAI_API_KEY`: where the key is read from).
 * - `strategy`: `direct-leaf` (one call, all leaves), `direct-hierarchical` (one call, all paths), `top-down` (a call for each level), `retrieve` (one call
 *   with the `candidates` (default 20) that a local `ngram` model ranks first); `auto` (default): `direct-leaf` up to `maxOptions` (default 300) labels,
 *   else `retrieve`, or `top-down` with fewer rows than labels.
 * - `shots` (default 0): labelled texts shown for each offered label.
 * - `shuffle` (default true): options in another order for each text, against order bias; false lets the endpoint cache the constant beginning.
 * - `goBack` (default false): `top-down` offers "none of these", which leads back a level.
 * - `repairs` (default 1), `concurrency` (default 4 calls at once), `timeoutSeconds` (default 60), `retries` (default 3).
 * - `priceInput`, `priceOutput`, `priceCached`: per million tokens, for plans and the ledger (default 0).
 * @throws InputError `METHOD_DATA` for several paths per row, `LLM_ENDPOINT`; RunError `LLM_CALL` when predicting, if the endpoint fails.
 * @example
 * const model = await train(rows, { method: htcLlm({ model: 'qwen3', strategy: 'retrieve', shots: 2 }) })
 */
export const htcLlm = defineHeadMethod(
  {
    name: 'htc-llm',
    summary: 'A chat model behind an endpoint chooses the label, in one call or level by level; nothing is trained.',
    source: 'Yoshimura and Kashima, Hierarchical text classification using black box large language models, 2025',
    status: 'works',
    results: 'docs/results/htc-llm.md',
  },
  v.object({
    endpoint: v.optional(v.string(), 'http://127.0.0.1:11434/v1'),
    model: v.optional(v.string(), ''),
    strategy: v.optional(v.picklist(['auto', ...strategies]), 'auto'),
    shots: v.optional(whole(0, 100), 0),
    candidates: v.optional(whole(2, 1000), 20),
    maxOptions: v.optional(whole(2, 100_000), 300),
    shuffle: v.optional(v.boolean(), true),
    goBack: v.optional(v.boolean(), false),
    repairs: v.optional(whole(0, 5), 1),
    concurrency: v.optional(whole(1, 256), 4),
    timeoutSeconds: v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(3600)), 60),
    retries: v.optional(whole(0, 20), 3),
    apiKeyEnv: v.optional(v.string(), 'OPENAI_API_KEY'),
    priceInput: v.optional(price, 0),
    priceOutput: v.optional(price, 0),
    priceCached: v.optional(price),
  }),
  (_, { multiLabel, terminals }) => {
    if (multiLabel)
      throw new InputError('METHOD_DATA', 'htc-llm expects one label path per row, the data has rows with several', {
        help: 'use --method per-node, or flat',
      })
    return {
      activation: 'softmax',
      unitNodes: Int32Array.from(terminals),
      groups: [{ parent: -1, start: 0, end: terminals.length }],
    }
  },
  {
    own: (options) => ({
      async train(training) {
        return (await import('../train-llm.ts')).trainLlmScorer(training, options as unknown as LlmMethodOptions)
      },
      async plan(input) {
        return (await import('../train-llm.ts')).planLlm(input, options as unknown as LlmMethodOptions)
      },
    }),
  },
)
