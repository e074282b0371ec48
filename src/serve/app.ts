/** The server as a Hono app: models, routes, and what every request passes through. */

import { randomUUID } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Context, Hono } from 'hono'
import { cors } from 'hono/cors'
import { matchedRoutes } from 'hono/route'
import { EspalierError, InputError, RunError } from '../util/errors.ts'
import { keyChecker } from './access.ts'
import type { ServeContext, ServeEnv, ServeHono } from './context.ts'
import { type ErrorShape, errorBody, errorHeaders, statusOf } from './http-error.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { type Log, noLog } from './log.ts'
import { Metrics } from './metrics.ts'
import { ModelSet } from './models/model-set.ts'
import { predictionRoutes } from './routes/prediction-routes.ts'
import { systemRoutes } from './routes/system-routes.ts'

export interface ServeOptions {
  /** Folders (or `hf:ORG/NAME`) by the name they are asked for. The first answers requests that name none. Default: none; add them later. */
  models?: Readonly<Record<string, string>>
  /** Asked for in `Authorization: Bearer KEY` on every route but /health. Default: no key. */
  apiKey?: string
  /** Origins whose pages may read answers; `*` for all. Default: none. */
  cors?: readonly string[]
  limits?: Partial<Limits>
  /** Inference threads of each model, each with the model in memory. Default: one for each core, up to 4, for `ngram` models, else 1. */
  workers?: number
  /** Threads inside one inference (encoders). Default 1. */
  threads?: number
  /** Seconds between looks at a model's folder for a replacement; 0: never. Default 1. */
  watchSeconds?: number
  /** Hears of requests, reloads and faults. Default: nobody. */
  log?: Log
}

export interface ServedApp {
  /** Mount routes of your own on it, or it on an app of your own; then `listen`. */
  readonly app: ServeHono
  /** Models can be added and removed while the server runs. */
  readonly models: ModelSet
  readonly context: ServeContext
  /** From now on /health says that the server is stopping. */
  stopping(): void
  /** Ends the inference threads. */
  close(): Promise<void>
}

/** Routes whose errors have the shape of text-embeddings-inference. */
const teiRoutes = /\/(?:predict|embed|rerank)$/
const shapeOf = (path: string): ErrorShape => (teiRoutes.test(path) ? 'tei' : 'openai')

/**
 * Opens models and builds the app that answers for them.
 * @throws InputError `MODEL_NAME`, and the faults of opening the models.
 * @example
 * const served = await serveApp({ models: { intents: 'demo-out/model' } })
 * const server = await listen(served.app, { port: 8080, onStop: () => served.close() })
 */
export async function serveApp(options: ServeOptions = {}): Promise<ServedApp> {
  const { workers, threads = 1, watchSeconds = 1, log = noLog, apiKey } = options
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const metrics = new Metrics()
  const models = new ModelSet({
    workers,
    threads,
    limits,
    watchMs: watchSeconds * 1000,
    events: (model) => ({
      onBatch({ texts, seconds }) {
        metrics.batches.observe({ model }, texts)
        metrics.batchSeconds.observe({ model }, seconds)
      },
      onFault({ code, message }) {
        metrics.faults.add({ model })
        log('error', 'thread', { model, code, message })
      },
      onReload({ folder, seconds, error }) {
        metrics.reloads.add({ model, outcome: error ? 'failed' : 'done' })
        const fault = error ? { code: error.code, message: error.message } : {}
        log(error ? 'error' : 'info', 'reload', { model, folder, seconds, ...fault })
      },
    }),
  })
  const context: ServeContext = { models, limits, metrics, log }
  let isStopping = false
  let inProgress = 0
  const stopGauges = addGauges(context, () => inProgress)

  const app: ServeHono = new Hono()
  app.use(async (c, next) => {
    const start = performance.now()
    const id = randomUUID()
    c.set('notes', { id })
    inProgress++
    try {
      await next()
    } finally {
      inProgress--
      const seconds = (performance.now() - start) / 1000
      setHeader(c, 'x-request-id', id)
      if (isStopping) setHeader(c, 'connection', 'close')
      const { status } = c.res
      const route = routeOf(matchedRoutes(c))
      metrics.requests.add({ route, status: String(status) })
      metrics.requestSeconds.observe({ route }, seconds)
      const { fault, ...notes } = c.get('notes')
      const inside = fault instanceof Error ? { stack: fault.stack } : {}
      log(status >= 500 ? 'error' : 'info', 'request', {
        method: c.req.method,
        path: c.req.path.slice(0, 200),
        status,
        seconds,
        ...notes,
        ...inside,
      })
    }
  })
  if (options.cors && options.cors.length > 0)
    app.use(
      cors({
        origin: options.cors.includes('*') ? '*' : [...options.cors],
        allowMethods: ['GET', 'POST'],
        exposeHeaders: ['x-request-id', 'retry-after'],
      }),
    )
  const checkKey = apiKey === undefined ? undefined : keyChecker(apiKey)
  app.use(async (c, next) => {
    if (c.req.path === '/health') return next()
    if (checkKey) checkKey(c.req.header('authorization') ?? null)
    if (inProgress > limits.requests)
      throw new RunError('OVERLOADED', `The server is overloaded: ${limits.requests} requests are in progress`, {
        data: { retryAfterSeconds: 1 },
      })
    return next()
  })
  app.route(
    '/',
    systemRoutes(context, () => isStopping),
  )
  app.route('/', predictionRoutes(context))
  app.route('/models/:model', predictionRoutes(context))
  app.notFound((c) => {
    throw new InputError('ROUTE_UNKNOWN', `There is no ${c.req.method} ${c.req.path.slice(0, 200)} here`, {
      help: 'the routes are in /openapi.json',
    })
  })
  app.onError((thrown, c) => {
    const error = EspalierError.is(thrown) ? thrown : new RunError('INTERNAL', String(thrown), { cause: thrown })
    const status = statusOf(error)
    const notes = c.get('notes')
    notes.code = error.code
    if (status === 500) notes.fault = thrown
    return c.body(JSON.stringify(errorBody(error, shapeOf(c.req.path))), status as 400, errorHeaders(error))
  })

  const close = async () => {
    stopGauges()
    await models.close()
  }
  try {
    for (const [name, source] of Object.entries(options.models ?? {})) await models.add(name, source)
  } catch (error) {
    await close()
    throw error
  }
  return {
    app,
    models,
    context,
    stopping() {
      isStopping = true
    },
    close,
  }
}

/** Adds a header to an answer: below the app where Node's own answer is at hand, since a finished response takes a new header only at some cost. */
function setHeader(c: Context<ServeEnv>, name: string, value: string): void {
  if (c.env?.outgoing) c.env.outgoing.setHeader(name, value)
  else c.res.headers.set(name, value)
}

/** The pattern of the route that answered, so that paths from outside make no new series. */
function routeOf(matched: readonly { path: string }[]): string {
  const { path = '/*' } = matched.at(-1) ?? {}
  return path === '/*' ? 'unknown' : path
}

/** Values that are read when /metrics is asked for. Returns what stops the measuring. */
function addGauges({ models, metrics }: ServeContext, inProgress: () => number): () => void {
  const lag = monitorEventLoopDelay({ resolution: 10 })
  lag.enable()
  const one = (value: number) => [{ labels: {}, value }]
  metrics.gauges.push(
    {
      name: 'espalier_queue_texts',
      help: 'Texts that wait for an inference thread.',
      read: () => models.slots.map(({ name, engine }) => ({ labels: { model: name }, value: engine.waitingTexts })),
    },
    { name: 'espalier_requests_in_progress', help: 'Requests being answered.', read: () => one(inProgress()) },
    {
      name: 'espalier_event_loop_delay_seconds',
      help: 'Delay of the event loop, 99th percentile since the start.',
      read: () => one(lag.percentile(99) / 1e9),
    },
    {
      name: 'process_cpu_seconds_total',
      type: 'counter',
      help: 'Processor time of the process, all its threads.',
      read: () => {
        const { user, system } = process.cpuUsage()
        return one((user + system) / 1e6)
      },
    },
    {
      name: 'process_resident_memory_bytes',
      help: 'Memory of the process.',
      read: () => one(process.memoryUsage.rss()),
    },
  )
  return () => lag.disable()
}
