/** A thread that keeps models open and does one job after the other, so that the server answers while it works. A thread that dies is replaced at the next job. */
import { Worker } from 'node:worker_threads'
import { type ErrorRecord, fromErrorRecord, InterruptedError, RunError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { workerUrl } from '../../util/worker.ts'
import type { JobName, Jobs } from './jobs.ts'

export type ToThread = { type: 'start'; id: number; name: JobName; input: unknown } | { type: 'abort'; id: number }
export type FromThread =
  | { type: 'progress'; id: number; progress: Parameters<NonNullable<RunOptions['onProgress']>>[0] }
  | { type: 'done'; id: number; result: unknown }
  | { type: 'failed'; id: number; error: ErrorRecord }

interface Waiting {
  options: RunOptions
  resolve(value: never): void
  reject(error: unknown): void
}

export class JobThread {
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #next = 0

  /** Runs a job; an abort makes it reject at once and stop at its next step. */
  run<Name extends JobName>(
    name: Name,
    input: Parameters<Jobs[Name]>[0],
    options: RunOptions = {},
  ): Promise<Awaited<ReturnType<Jobs[Name]>>> {
    const id = this.#next++
    const worker = (this.#worker ??= this.#start())
    const { signal } = options
    return new Promise<Awaited<ReturnType<Jobs[Name]>>>((resolve, reject) => {
      const abort = () => {
        worker.postMessage({ type: 'abort', id } satisfies ToThread)
        if (this.#waiting.delete(id)) reject(new InterruptedError())
      }
      if (signal?.aborted) return reject(new InterruptedError())
      signal?.addEventListener('abort', abort, { once: true })
      const settle = (end: () => void) => {
        signal?.removeEventListener('abort', abort)
        end()
      }
      this.#waiting.set(id, {
        options,
        resolve: (value) => settle(() => resolve(value)),
        reject: (error) => settle(() => reject(error)),
      })
      worker.postMessage({ type: 'start', id, name, input } satisfies ToThread)
    })
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    for (const { reject } of this.#waiting.values()) reject(new InterruptedError())
    this.#waiting.clear()
    await worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(workerUrl(import.meta.url, './studio-worker.ts'))
    worker.unref()
    worker.on('message', (message: FromThread) => {
      const waiting = this.#waiting.get(message.id)
      if (!waiting) return
      if (message.type === 'progress') return waiting.options.onProgress?.(message.progress)
      this.#waiting.delete(message.id)
      if (message.type === 'done') waiting.resolve(message.result as never)
      else waiting.reject(fromErrorRecord(message.error))
    })
    const fail = (message: string) => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      for (const { reject } of this.#waiting.values())
        reject(new RunError('WORKER_EXIT', message, { help: 'the model may need more memory than there is' }))
      this.#waiting.clear()
    }
    worker.on('error', (error) => fail(`A worker thread failed: ${error instanceof Error ? error.message : error}`))
    worker.on('exit', (code) => fail(`A worker thread ended early (status ${code})`))
    return worker
  }
}
