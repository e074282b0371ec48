/** What a page and its worker say to each other: calls with a number, their progress, their end. */
import type { ErrorRecord } from '../util/errors.ts'
import type { Progress } from '../util/progress.ts'

/** Names of what the worker does, with their arguments; functions stay in the page. */
export type Call = 'load' | 'train' | 'predict' | 'embed' | 'files'

export type ToWorker =
  | { type: 'call'; id: number; call: Call; args: readonly unknown[] }
  | { type: 'abort'; id: number }

export type FromWorker =
  | { type: 'progress'; id: number; progress: Progress }
  | { type: 'done'; id: number; result: unknown }
  | { type: 'failed'; id: number; error: ErrorRecord }
