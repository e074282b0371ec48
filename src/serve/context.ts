/** What every route of the server works with. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Hono } from 'hono'
import type { Limits } from './limits.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { ModelSet } from './models/model-set.ts'

export interface ServeContext {
  readonly models: ModelSet
  readonly limits: Limits
  readonly metrics: Metrics
  readonly log: Log
}

/** What a request gathers on its way, for the log. */
export interface RequestNotes {
  id: string
  model?: string
  texts?: number
  /** Code of the fault that ended it. */
  code?: string
  /** The fault itself, if it is the server's own. */
  fault?: unknown
}

export interface ServeEnv {
  Variables: { notes: RequestNotes }
  /** What Node's server has in hand for the request; absent where the app is asked by other means. */
  Bindings: { incoming?: IncomingMessage; outgoing?: ServerResponse }
}
export type ServeHono = Hono<ServeEnv>
