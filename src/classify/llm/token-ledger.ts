/** What calls to a chat model cost: tokens, requests, money. Every request counts, failed and repeated ones too. */
import type { ChatPrompt, ChatReply } from './chat-endpoint.ts'

/** Prices per million tokens, in any currency. */
export interface TokenPrices {
  readonly input: number
  readonly output: number
  /** Of input tokens that the endpoint had cached; default: as `input`. */
  readonly cached?: number
}

export interface TokenUsage {
  texts: number
  /** Replies received. */
  calls: number
  /** Requests beyond one per reply: they failed and were tried again. */
  retries: number
  /** Calls that asked again because a reply named no offered label. */
  repairs: number
  /** Texts without an answer. */
  unparsed: number
  inputTokens: number
  cachedTokens: number
  outputTokens: number
  /** Calls whose tokens are our estimate of 4 characters a token, because the endpoint did not count. */
  estimatedCalls: number
  price: number
}

const charactersPerToken = 4

/** Tokens of a text, at 4 characters a token. */
export const estimateTokens = (text: string): number => Math.ceil(text.length / charactersPerToken)

/** The price of so many tokens, in the prices' currency. */
export function priceOf(
  { inputTokens, outputTokens, cachedTokens = 0 }: { inputTokens: number; outputTokens: number; cachedTokens?: number },
  { input, output, cached = input }: TokenPrices,
): number {
  return ((inputTokens - cachedTokens) * input + cachedTokens * cached + outputTokens * output) / 1e6
}

export class TokenLedger {
  readonly #prices: TokenPrices
  readonly #usage: Omit<TokenUsage, 'price'> = {
    texts: 0,
    calls: 0,
    retries: 0,
    repairs: 0,
    unparsed: 0,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    estimatedCalls: 0,
  }

  constructor(prices: TokenPrices) {
    this.#prices = prices
  }

  /** Enters a call with its reply. */
  call({ system, user }: ChatPrompt, reply: ChatReply): void {
    const usage = this.#usage
    usage.calls++
    usage.retries += reply.attempts - 1
    usage.inputTokens += reply.inputTokens ?? estimateTokens(system) + estimateTokens(user)
    usage.cachedTokens += reply.cachedTokens ?? 0
    usage.outputTokens += reply.outputTokens ?? estimateTokens(reply.text)
    if (reply.inputTokens === undefined || reply.outputTokens === undefined) usage.estimatedCalls++
  }

  repair(): void {
    this.#usage.repairs++
  }

  /** Enters a text whose answer is settled. */
  text(answered: boolean): void {
    this.#usage.texts++
    if (!answered) this.#usage.unparsed++
  }

  /** All entries added up. */
  get total(): TokenUsage {
    return { ...this.#usage, price: priceOf(this.#usage, this.#prices) }
  }
}
