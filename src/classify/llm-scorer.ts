/** Scorer of a chat model that was never trained: each text costs calls to an endpoint, and the answer is one label or none. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { hpScore } from '../evaluate/hp-score.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { NgramModel } from '../models/ngram.ts'
import { loadNgramModel, saveNgramModel } from '../models/ngram-files.ts'
import { random } from '../tensor/random.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import { type ChatEndpoint, type ChatPrompt, type ChatReply, openChatEndpoint } from './llm/chat-endpoint.ts'
import { chatLadder, chatSelector } from './llm/chat-ladder.ts'
import type { ExampleBank } from './llm/example-bank.ts'
import { parseReply } from './llm/parse-reply.ts'
import { askAgain, askForLabel, type Offer } from './llm/prompt.ts'
import { choose, leafOffers, strategies } from './llm/strategies.ts'
import { TokenLedger } from './llm/token-ledger.ts'
import type { RankedUnits, RankOptions, Scorer } from './scorer.ts'

export const llmModelType = 'espalier-llm'
const examplesFile = 'examples.json'
const retrieverFolder = 'retriever'

/** What config.json of a model folder holds. The endpoint's key is never written anywhere. */
const configSchema = v.object({
  model_type: v.literal(llmModelType),
  strategy: v.picklist(strategies),
  endpoint: v.string(),
  model: v.string(),
  apiKeyEnv: v.string(),
  candidates: v.number(),
  shuffle: v.boolean(),
  goBack: v.boolean(),
  repairs: v.number(),
  concurrency: v.number(),
  timeoutSeconds: v.number(),
  retries: v.number(),
  seed: v.number(),
  prices: v.object({ input: v.number(), output: v.number(), cached: v.optional(v.number()) }),
})

export type LlmConfig = v.InferOutput<typeof configSchema>

export interface LlmParts {
  readonly config: LlmConfig
  readonly tree: LabelTree
  /** Nodes where an answer may end: the units. */
  readonly ends: readonly number[]
  readonly bank: ExampleBank
  /** Finds the candidates of the strategy `retrieve`; its units are those of the scorer. */
  readonly retriever?: NgramModel
}

export async function llmScorer(parts: LlmParts): Promise<Scorer> {
  const { config, tree, ends, bank, retriever } = parts
  const ledger = new TokenLedger(config.prices)
  const endpoint = await openChatEndpoint(config)
  const unitOf = new Map(ends.map((node, unit) => [node, unit]))
  const answer = async (text: string, signal: AbortSignal | undefined): Promise<number | undefined> => {
    const node = await choose(config.strategy, {
      tree,
      ends,
      goBack: config.goBack,
      ...(config.shuffle ? { order: random(config.seed, 'llm options', text) } : {}),
      ...(retriever ? { candidates: bestUnits(retriever.score([text]), config.candidates).map((u) => ends[u]!) } : {}),
      ask: (offers, paths) => ask(endpoint, ledger, config, bank, text, offers, paths, signal),
    })
    ledger.text(node !== undefined)
    return node === undefined ? undefined : unitOf.get(node)
  }
  const rank = async (
    texts: readonly string[],
    _: number,
    { signal, onProgress }: RankOptions = {},
  ): Promise<RankedUnits> => {
    const answers: (number | undefined)[] = new Array(texts.length)
    const failed = new AbortController()
    const stop = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal
    let next = 0
    let done = 0
    const work = async () => {
      while (next < texts.length && !failed.signal.aborted) {
        throwIfAborted(signal)
        const row = next++
        answers[row] = await answer(texts[row]!, stop)
        onProgress?.({ step: 'ask', done: ++done, total: texts.length, unit: 'texts' })
      }
    }
    const workers = Array.from({ length: config.concurrency }, () =>
      work().catch((error: unknown) => {
        failed.abort()
        throw error
      }),
    )
    const outcome = (await Promise.allSettled(workers)).find((each) => each.status === 'rejected')
    if (outcome) throw outcome.reason
    return listed(answers)
  }
  return {
    kind: `llm ${config.model}`,
    units: ends.length,
    parameters: 0,
    get parts(): never {
      throw new InputError('MODEL_PARTS', 'A chat model behind an endpoint has no parts to explain or export', {
        help: 'train another --method for that, for example flat',
      })
    },
    rank,
    usage: () => ({ ...ledger.total }),
    rate: (rows, { adaptive, ...options }) => {
      const offers = leafOffers(tree, ends)
      const labelOf = new Map(offers.map(({ node, label }) => [node, label]))
      const asked = {
        labels: offers.map(({ label }) => label),
        groups: tree.depth > 1 ? leafOffers(tree, tree.roots).map(({ label }) => label) : [],
        examples: offers.flatMap(({ node, label }) => (bank[node] ?? []).map((text) => ({ text, label }))).slice(0, 3),
        endpoint,
        onCall: (prompt: ChatPrompt, reply: ChatReply) => ledger.call(prompt, reply),
      }
      if (asked.examples.length === 0)
        throw new InputError('METHOD_OPTION', 'The rating shows three worked examples, this model has none', {
          help: 'make it with --method-option shots=1',
        })
      return hpScore(
        rows.map(({ text, label }) => ({ text, gold: labelOf.get(label) ?? '' })),
        chatLadder(asked),
        adaptive ? { ...options, select: chatSelector(asked) } : options,
      )
    },
    async score(texts, options) {
      const { offsets, units } = await rank(texts, 1, options)
      const rows = new Float32Array(texts.length * ends.length).fill(Number.NEGATIVE_INFINITY)
      for (let row = 0; row < texts.length; row++)
        for (let i = offsets[row]!; i < offsets[row + 1]!; i++) rows[row * ends.length + units[i]!] = 0
      return rows
    },
    async save(folder) {
      await writeFile(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`)
      await writeFile(join(folder, examplesFile), `${JSON.stringify(bank)}\n`)
      if (!retriever) return
      await mkdir(join(folder, retrieverFolder))
      await saveNgramModel(retriever, join(folder, retrieverFolder))
    },
    async close() {},
  }
}

async function ask(
  endpoint: ChatEndpoint,
  ledger: TokenLedger,
  { repairs }: LlmConfig,
  bank: ExampleBank,
  text: string,
  offers: readonly Offer[],
  paths: boolean,
  signal: AbortSignal | undefined,
): Promise<Offer | undefined> {
  const examples = offers.flatMap(({ node, label }) => (bank[node] ?? []).map((example) => ({ text: example, label })))
  const labels = offers.map(({ label }) => label)
  const first = askForLabel({ text, offers, examples, paths })
  let prompt = first
  for (let tried = 0; ; tried++) {
    const reply = await endpoint.complete(prompt, signal)
    ledger.call(prompt, reply)
    const found = parseReply(reply.text, labels)
    if (found !== undefined) return offers[found]!
    if (tried === repairs) return undefined
    ledger.repair()
    prompt = askAgain(first, reply.text)
  }
}

/** One unit for each answered text, none for the others. */
function listed(answers: readonly (number | undefined)[]): RankedUnits {
  const units = answers.filter((unit) => unit !== undefined)
  const offsets = new Uint32Array(answers.length + 1)
  for (const [row, unit] of answers.entries()) offsets[row + 1] = offsets[row]! + (unit === undefined ? 0 : 1)
  return { offsets, units: Uint32Array.from(units), logits: new Float32Array(units.length) }
}

function bestUnits(logits: Float32Array, count: number): number[] {
  const order = Array.from(logits, (_, unit) => unit).sort((a, b) => logits[b]! - logits[a]! || a - b)
  return order.slice(0, count)
}

/** Opens the folder of a model that `htc-llm` wrote. */
export async function openLlmScorer(
  folder: string,
  found: Record<string, unknown>,
  tree: LabelTree,
  ends: readonly number[],
): Promise<Scorer> {
  const file = join(folder, 'config.json')
  const parsed = v.safeParse(configSchema, found)
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw new InputError('MODEL_FORMAT', issue.message, { where: { file, key: v.getDotPath(issue) ?? '' } })
  }
  const config = parsed.output
  const bank = await readBank(join(folder, examplesFile), tree)
  const retriever =
    config.strategy === 'retrieve' ? { retriever: await loadNgramModel(join(folder, retrieverFolder)) } : {}
  return llmScorer({ config, tree, ends, bank, ...retriever })
}

async function readBank(file: string, tree: LabelTree): Promise<ExampleBank> {
  const schema = v.pipe(
    v.array(v.array(v.string())),
    v.check((bank) => bank.length === tree.size, `Expected the examples of ${tree.size} labels`),
  )
  const parsed = v.safeParse(schema, await readJson(file))
  if (parsed.success) return parsed.output
  throw new InputError('MODEL_FORMAT', parsed.issues[0].message, {
    where: { file },
    help: 'the file was changed: train the model again',
  })
}
