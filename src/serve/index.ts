/** Espalier over HTTP: `espalier/serve`. */
export { type ServedApp, type ServeOptions, serveApp } from './app.ts'
export type { ServeContext, ServeHono } from './context.ts'
export { defaultLimits, type Limits } from './limits.ts'
export { type Fetching, type Listening, type ListenOptions, listen } from './listen.ts'
export { jsonLog, type Log, type LogLevel } from './log.ts'
export { ModelSet, modelEntry } from './models/model-set.ts'
export { openapi } from './openapi.ts'
export { predictionRoutes } from './routes/prediction-routes.ts'
