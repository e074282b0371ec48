/** A chat model behind an OpenAI-compatible endpoint: prompts in, replies with their cost out. Retries, timeouts and the wire format are the AI SDK's. */
import { InputError, InterruptedError, RunError } from '../../util/errors.ts'

export interface ChatPrompt {
  /** What stays the same from text to text: instruction and offered labels. Comes first, so that servers can cache it. */
  readonly system: string
  readonly user: string
  readonly maxOutputTokens: number
}

export interface ChatReply {
  readonly text: string
  /** Requests sent for it, retried ones included. */
  readonly attempts: number
  /** As the endpoint counted them; undefined where it does not say. */
  readonly inputTokens?: number
  readonly cachedTokens?: number
  readonly outputTokens?: number
}

export interface ChatEndpoint {
  complete(prompt: ChatPrompt, signal?: AbortSignal): Promise<ChatReply>
}

export interface ChatEndpointOptions {
  /** Base URL, the part before `/chat/completions`. */
  readonly endpoint: string
  /** The model's name at the endpoint. */
  readonly model: string
  /** Environment variable that holds the key; one that is not set means that none is sent. */
  readonly apiKeyEnv: string
  /** For each request. */
  readonly timeoutSeconds: number
  /** Further tries after a failed request, at growing distances or as the endpoint's Retry-After says. */
  readonly retries: number
}

/** @throws InputError `LLM_ENDPOINT` unless the endpoint is an http(s) URL. */
export async function openChatEndpoint(options: ChatEndpointOptions): Promise<ChatEndpoint> {
  const { endpoint, model, apiKeyEnv, timeoutSeconds, retries } = options
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new InputError('LLM_ENDPOINT', `Expected the URL of a chat endpoint, received "${endpoint}"`, {
      help: 'give the base URL, for example --method-option endpoint=http://127.0.0.1:11434/v1',
    })
  const [{ generateText }, { createOpenAICompatible }] = await Promise.all([
    import('ai'),
    import('@ai-sdk/openai-compatible'),
  ])
  const apiKey = process.env[apiKeyEnv]
  const complete: ChatEndpoint['complete'] = async ({ system, user, maxOutputTokens }, signal) => {
    let attempts = 0
    const provider = createOpenAICompatible({
      name: 'chat',
      baseURL: endpoint,
      ...(apiKey === undefined ? {} : { apiKey }),
      fetch: (input, init) => {
        attempts++
        const limits = [AbortSignal.timeout(timeoutSeconds * 1000), ...(init?.signal ? [init.signal] : [])]
        return fetch(input, { ...init, signal: AbortSignal.any(limits) }).catch((error: unknown) => {
          // A request that took too long is tried again like one whose connection failed.
          if ((error as Error)?.name === 'TimeoutError') throw new TypeError('fetch failed', { cause: error })
          throw error
        })
      },
    })
    try {
      const { text, usage } = await generateText({
        model: provider.chatModel(model),
        system,
        prompt: user,
        temperature: 0,
        maxOutputTokens,
        maxRetries: retries,
        ...(signal ? { abortSignal: signal } : {}),
      })
      const { inputTokens, outputTokens, inputTokenDetails } = usage
      const cachedTokens = inputTokenDetails?.cacheReadTokens
      return {
        text,
        attempts,
        ...(inputTokens === undefined ? {} : { inputTokens }),
        ...(outputTokens === undefined ? {} : { outputTokens }),
        ...(cachedTokens === undefined ? {} : { cachedTokens }),
      }
    } catch (error) {
      if (signal?.aborted) throw new InterruptedError('Stopped while waiting for the chat endpoint')
      throw callError(error, options, attempts)
    }
  }
  return { complete }
}

function callError(error: unknown, { endpoint, model, apiKeyEnv }: ChatEndpointOptions, attempts: number): RunError {
  const last = ((error as { lastError?: unknown }).lastError ?? error) as {
    statusCode?: number
    message?: string
    cause?: { message?: string }
  }
  const { statusCode } = last
  const reason =
    statusCode === undefined ? (last.cause?.message ?? last.message) : `HTTP ${statusCode}: ${last.message}`
  const help =
    statusCode === 401 || statusCode === 403
      ? `set the key in the environment variable ${apiKeyEnv}`
      : statusCode === 404
        ? 'check the base URL and the name of the model'
        : 'check that the endpoint answers, then run the same command again'
  return new RunError('LLM_CALL', `The chat endpoint gave no answer after ${attempts} tries (${reason})`, {
    help,
    data: { endpoint, model, attempts, ...(statusCode === undefined ? {} : { status: statusCode }) },
  })
}
