/** Worker threads that run a module of this package, with typed errors, progress and cancellation across the boundary. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Transferable as NodeTransferable, parentPort, Worker } from 'node:worker_threads'
import {
  type ErrorRecord,
  fromErrorRecord,
  InterruptedError,
  RunError,
  throwIfAborted,
  toErrorRecord,
} from './errors.ts'
import type { Progress, RunOptions } from './progress.ts'

type ToWorker = { type: 'start'; job: unknown } | { type: 'abort' }
type FromWorker =
  | { type: 'progress'; progress: Progress }
  | { type: 'done'; result: unknown }
  | { type: 'failed'; error: ErrorRecord }

/** The built module beside `caller`: workers always run from dist/, also when the caller runs from src/ under a test runner. */
export function workerUrl(caller: string, module: string): URL {
  const url = new URL(module.replace(/\.ts$/, '.js'), caller)
  if (!caller.endsWith('.ts')) return url
  const built = new URL(url.href.replace('/src/', '/dist/'))
  if (!existsSync(fileURLToPath(built)))
    throw new RunError('NOT_BUILT', 'The package is not built', { help: 'run: npm run build' })
  return built
}

/**
 * Runs one job in a fresh worker thread and resolves with its result. An abort asks the worker to stop in order (it may save first);
 * typed errors thrown in the worker arrive as the same errors.
 */
export function runInWorker<Job, Result>(
  url: URL,
  job: Job,
  options: RunOptions & { transfer?: NodeTransferable[] } = {},
): Promise<Result> {
  throwIfAborted(options.signal)
  return new Promise<Result>((resolve, reject) => {
    const worker = new Worker(url)
    const abort = () => worker.postMessage({ type: 'abort' } satisfies ToWorker)
    let finished = false
    const finish = (settle: () => void) => {
      if (finished) return // ending the worker below makes it exit, which is no news
      finished = true
      options.signal?.removeEventListener('abort', abort)
      void worker.terminate().then(settle, settle)
    }
    options.signal?.addEventListener('abort', abort)
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'progress') options.onProgress?.(message.progress)
      else if (message.type === 'done') finish(() => resolve(message.result as Result))
      else finish(() => reject(fromErrorRecord(message.error)))
    })
    worker.on('error', (error) => finish(() => reject(fromErrorRecord(toErrorRecord(error)))))
    worker.on('exit', (code) =>
      finish(() =>
        reject(
          new RunError('WORKER_EXIT', `A worker thread ended early (status ${code})`, {
            help: 'if memory ran out, lower --batch or --max-length',
          }),
        ),
      ),
    )
    worker.postMessage({ type: 'start', job } satisfies ToWorker, options.transfer ?? [])
  })
}

/** The worker's side: call once at the top of a worker module. Long jobs must yield to the event loop now and then, so that an abort is seen. */
export function serveJob<Job, Result>(work: (job: Job, options: Required<RunOptions>) => Promise<Result>): void {
  const port = parentPort
  if (!port) throw new Error('serveJob runs in a worker thread only')
  const controller = new AbortController()
  const post = (message: FromWorker) => port.postMessage(message)
  port.on('message', (message: ToWorker) => {
    if (message.type === 'abort') return controller.abort(new InterruptedError())
    work(message.job as Job, {
      signal: controller.signal,
      onProgress: (progress) => post({ type: 'progress', progress }),
    }).then(
      (result) => post({ type: 'done', result }),
      (error: unknown) => post({ type: 'failed', error: toErrorRecord(error) }),
    )
  })
}
