/** The routes about the server itself: /health, /metrics, /v1/models, /openapi.json. */
import { Hono } from 'hono'
import type { ServeContext, ServeHono } from '../context.ts'
import { openapi } from '../openapi.ts'

export function systemRoutes({ models, metrics }: ServeContext, isStopping: () => boolean): ServeHono {
  const app: ServeHono = new Hono()
  app.get('/health', (c) => {
    const stopping = isStopping()
    return c.json({ status: stopping ? 'stopping' : 'ok', models: models.names }, stopping ? 503 : 200)
  })
  app.get('/metrics', (c) =>
    c.text(metrics.text(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
  )
  app.get('/openapi.json', (c) => c.json(openapi()))
  app.get('/v1/models', (c) => c.json({ object: 'list', data: models.names.map((name) => entry(models, name)) }))
  return app
}

function entry(models: ServeContext['models'], name: string): Record<string, unknown> {
  const { slot, head } = models.find(name)
  const { kind, classifies, dimensions, pooling, maxLength, labels } = slot.engine.description
  return {
    id: name,
    object: 'model',
    owned_by: 'local',
    kind,
    tasks: [
      ...(classifies || head !== undefined ? ['predict', 'classify'] : []),
      ...(dimensions === undefined ? [] : ['embed', 'rerank']),
    ],
    ...(dimensions === undefined ? {} : { dimensions, pooling }),
    ...(maxLength === undefined ? {} : { max_tokens: maxLength }),
    ...(labels === undefined || head !== undefined ? {} : { labels }),
  }
}
