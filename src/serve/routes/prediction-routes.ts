/**
 * The routes that ask models: /predict, /embed and /rerank as Hugging Face text-embeddings-inference defines them, /v1/embeddings as OpenAI does,
 * and /v1/classify, our own.
 */
import { type Context, Hono } from 'hono'
import { InputError } from '../../util/errors.ts'
import { ask, bodyOf } from '../answer-request.ts'
import type { ServeContext, ServeEnv, ServeHono } from '../context.ts'
import { classifyRequest, embeddingsRequest, embedRequest, predictRequest, rerankRequest } from '../schemas.ts'

const json = (c: Context<ServeEnv>, text: string) => c.body(text, 200, { 'content-type': 'application/json' })
const listOf = (texts: string | string[]) => (typeof texts === 'string' ? [texts] : texts)

/** The routes as an app of their own, to be mounted at / and at /models/:model. */
export function predictionRoutes(context: ServeContext): ServeHono {
  const app: ServeHono = new Hono()

  app.post('/predict', async (c) => {
    const { inputs, raw_scores: rawScores, ...request } = await bodyOf(c, context, predictRequest)
    const { texts, single } = textsOf(inputs)
    const { body } = await ask(c, context, { ...request, task: { kind: 'predict', texts, rawScores } })
    return json(c, single ? body.slice(1, -1) : body)
  })

  app.post('/embed', async (c) => {
    const { inputs, normalize, dimensions, ...request } = await bodyOf(c, context, embedRequest)
    const { body } = await ask(c, context, {
      ...request,
      task: { kind: 'embed', texts: listOf(inputs), normalize, form: 'rows', ...(dimensions ? { dimensions } : {}) },
    })
    return json(c, body)
  })

  app.post('/rerank', async (c) => {
    const {
      query,
      texts,
      raw_scores: rawScores,
      return_text: returnText,
      ...request
    } = await bodyOf(c, context, rerankRequest)
    const { body } = await ask(c, context, {
      ...request,
      task: { kind: 'rerank', query, texts, rawScores, returnText },
    })
    return json(c, body)
  })

  app.post('/v1/embeddings', async (c) => {
    const { input, encoding_format: format, dimensions, model } = await bodyOf(c, context, embeddingsRequest)
    const answer = await ask(c, context, {
      model,
      truncate: true,
      task: {
        kind: 'embed',
        texts: listOf(input),
        normalize: true,
        form: format === 'base64' ? 'base64' : 'objects',
        ...(dimensions ? { dimensions } : {}),
      },
    })
    const usage = { prompt_tokens: answer.tokens, total_tokens: answer.tokens }
    return json(c, envelope(answer, { usage }))
  })

  app.post('/v1/classify', async (c) => {
    const { input, top_k: topK, min_confidence: minConfidence, ...request } = await bodyOf(c, context, classifyRequest)
    const answer = await ask(c, context, {
      ...request,
      task: {
        kind: 'classify',
        texts: listOf(input),
        topK,
        ...(typeof minConfidence === 'number' ? { minConfidence } : {}),
      },
    })
    return json(c, envelope(answer))
  })
  for (const path of ['/predict', '/embed', '/rerank', '/v1/embeddings', '/v1/classify'])
    app.all(path, (c) => {
      throw new InputError('METHOD_NOT_ALLOWED', `Expected POST, received ${c.req.method}`)
    })
  return app
}

/** The model's own JSON inside the list that OpenAI's clients expect. */
function envelope({ body, model }: { body: string; model: string }, more: Record<string, unknown> = {}): string {
  const rest = Object.entries(more).map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`)
  return `{"object":"list","data":${body},"model":${JSON.stringify(model)}${rest.join('')}}`
}

/** What `inputs` of /predict means: a text, a list of one, a pair (which needs a cross-encoder), or a batch of lists. */
function textsOf(inputs: string | string[] | string[][]): { texts: string[]; single: boolean } {
  if (typeof inputs === 'string') return { texts: [inputs], single: true }
  const isBatch = Array.isArray(inputs[0])
  const items = (isBatch ? inputs : [inputs]) as string[][]
  if (items.some(({ length }) => length > 1))
    throw new InputError('PAIR_UNSUPPORTED', 'Expected single texts, received a pair; no model here reads pairs', {
      where: { key: 'inputs' },
      help: 'write a batch as [["first text"], ["second text"]]',
    })
  return { texts: items.map(([text]) => text!), single: !isBatch }
}
