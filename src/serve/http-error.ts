/** Faults as HTTP answers: a status for every code, and the two shapes of error bodies that clients know. */
import type { EspalierError } from '../util/errors.ts'

/** TEI: text-embeddings-inference. */
export type ErrorShape = 'tei' | 'openai'

const statuses: Record<string, number> = {
  REQUEST_MALFORMED: 400,
  REQUEST_SHAPE: 422,
  PAIR_UNSUPPORTED: 422,
  TEXT_EMPTY: 422,
  DIMENSIONS: 422,
  UNAUTHORIZED: 401,
  HOST_REFUSED: 421,
  ROUTE_UNKNOWN: 404,
  MODEL_UNKNOWN: 404,
  METHOD_NOT_ALLOWED: 405,
  RECEIVE_LIMIT: 408,
  BODY_TOO_LARGE: 413,
  BATCH_TOO_LARGE: 413,
  TEXT_TOO_LONG: 413,
  CONTENT_TYPE: 415,
  NO_EMBEDDING: 424,
  NO_CLASSIFIER: 424,
  OVERLOADED: 429,
  HEADERS_TOO_LARGE: 431,
  INTERRUPTED: 499,
  STOPPING: 503,
  TIME_LIMIT: 503,
}

/** The status of a fault. One that the request did not cause is 500. */
export function statusOf({ code }: EspalierError): number {
  return statuses[code] ?? 500
}

const teiTypes: Record<number, string> = { 424: 'Backend', 429: 'Overloaded', 503: 'Unhealthy' }
const openaiTypes: Record<number, string> = { 401: 'authentication_error', 429: 'rate_limit_error' }

/** The body of a fault. What is inside of the program is not told: faults of status 500 have one message. */
export function errorBody(error: EspalierError, shape: ErrorShape): Record<string, unknown> {
  const status = statusOf(error)
  const isOurs = status === 500
  const message = isOurs ? 'The server failed to answer; its log says why' : error.message
  const code = isOurs ? 'INTERNAL' : error.code
  const help = isOurs || error.help === undefined ? {} : { help: error.help }
  if (shape === 'tei')
    return { error: message, error_type: teiTypes[status] ?? (isOurs ? 'Backend' : 'Validation'), code, ...help }
  const type = openaiTypes[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error')
  return { error: { message, type, param: error.where.key ?? null, code, ...help } }
}

/** Headers that belong to a fault. */
export function errorHeaders(error: EspalierError): Record<string, string> {
  const status = statusOf(error)
  const { retryAfterSeconds = 1 } = error.data as { retryAfterSeconds?: number }
  return {
    'content-type': 'application/json',
    ...(status === 429 || status === 503 ? { 'retry-after': String(retryAfterSeconds) } : {}),
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(status === 408 || status === 413 ? { connection: 'close' } : {}),
  }
}
