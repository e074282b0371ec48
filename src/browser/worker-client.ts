/** The page's side of a classifier that lives in a worker: the page stays free while it computes. */
import { fromErrorRecord, RunError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { BrowserClassifier, ClassifierInfo } from './browser-classifier.ts'
import { folderUrl, type ModelSource } from './model-files.ts'
import type { Call, FromWorker, ToWorker } from './protocol.ts'

interface Waiting {
  settle(message: FromWorker): void
  fail(error: Error): void
}

class WorkerCalls {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #count = 0

  constructor() {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
    this.#worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) =>
      this.#waiting.get(data.id)?.settle(data),
    )
    this.#worker.addEventListener('error', (event) => {
      const error = new RunError('WORKER_EXIT', `The worker failed: ${event.message || 'it could not be loaded'}`, {
        help: 'check that the page may load the worker and its wasm files',
      })
      for (const { fail } of this.#waiting.values()) fail(error)
    })
  }

  call(call: Call, args: readonly unknown[], { signal, onProgress }: RunOptions = {}): Promise<unknown> {
    throwIfAborted(signal)
    const id = this.#count++
    return new Promise((resolve, reject) => {
      const abort = () => this.#worker.postMessage({ type: 'abort', id } satisfies ToWorker)
      const end = () => {
        this.#waiting.delete(id)
        signal?.removeEventListener('abort', abort)
      }
      this.#waiting.set(id, {
        settle(message) {
          if (message.type === 'progress') return onProgress?.(message.progress)
          end()
          if (message.type === 'done') resolve(message.result)
          else reject(fromErrorRecord(message.error))
        },
        fail(error) {
          end()
          reject(error)
        },
      })
      signal?.addEventListener('abort', abort)
      this.#worker.postMessage({ type: 'call', id, call, args } satisfies ToWorker)
    })
  }

  close(): void {
    this.#worker.terminate()
    const error = new RunError('WORKER_EXIT', 'The classifier was closed')
    for (const { fail } of this.#waiting.values()) fail(error)
  }
}

/** Options without what cannot cross to a worker. */
function plain<T extends RunOptions>(options: T): Omit<T, 'signal' | 'onProgress'> {
  const { signal: _signal, onProgress: _onProgress, ...rest } = options
  return rest
}

/** A worker's address is not the page's: relative URLs are settled here. */
const absolute = (source: ModelSource): ModelSource =>
  typeof source === 'string' || source instanceof URL ? folderUrl(source).href : source

async function open(call: 'load' | 'train', args: readonly unknown[], run: RunOptions): Promise<BrowserClassifier> {
  const calls = new WorkerCalls()
  try {
    const info = (await calls.call(call, args, run)) as ClassifierInfo
    return {
      info,
      predict: (texts, options = {}) =>
        calls.call('predict', [texts, plain(options)], options) as ReturnType<BrowserClassifier['predict']>,
      embed: (texts, options = {}) =>
        calls.call('embed', [texts, plain(options)], options) as ReturnType<BrowserClassifier['embed']>,
      files: () => calls.call('files', []) as ReturnType<BrowserClassifier['files']>,
      close: async () => calls.close(),
    }
  } catch (error) {
    calls.close()
    throw error
  }
}

export const loadInWorker = (source: ModelSource, options: RunOptions): Promise<BrowserClassifier> =>
  open('load', [absolute(source), plain(options)], options)

export const trainInWorker = <T extends RunOptions & { encoder: ModelSource }>(
  rows: readonly unknown[],
  options: T,
): Promise<BrowserClassifier> =>
  open('train', [rows, { ...plain(options), encoder: absolute(options.encoder) }], options)
