/** One inference thread as the server's main thread sees it: batches in, answers out, and a promise that tells when it is gone. */
import { EspalierError, RunError } from '../../util/errors.ts'
import { runInWorker, workerUrl } from '../../util/worker.ts'
import type {
  Answer,
  FromInference,
  InferenceJob,
  ModelDescription,
  ToInference,
  WorkItem,
} from '../worker/protocol.ts'

interface Pending {
  resolve(answers: Answer[]): void
  reject(error: unknown): void
}

/** What answers batches: an inference thread. */
export interface BatchAnswerer {
  readonly description: ModelDescription
  readonly ended: Promise<EspalierError | undefined>
  run(items: WorkItem[]): Promise<Answer[]>
  stop(): Promise<void>
}

export class InferenceThread implements BatchAnswerer {
  readonly description: ModelDescription
  /** Settles when the thread has ended: with the fault, if it was not asked to. */
  readonly ended: Promise<EspalierError | undefined>
  readonly #port: MessagePort
  readonly #stop: AbortController
  readonly #waiting: Map<number, Pending>
  #id = 0
  #gone = false

  private constructor(
    description: ModelDescription,
    ended: Promise<EspalierError | undefined>,
    port: MessagePort,
    stop: AbortController,
    waiting: Map<number, Pending>,
  ) {
    this.description = description
    this.ended = ended
    this.#port = port
    this.#stop = stop
    this.#waiting = waiting
  }

  /** Starts a thread and waits until its model is open. @throws the fault of opening it. */
  static async open(folder: string, threads: number): Promise<InferenceThread> {
    const { port1, port2 } = new MessageChannel()
    const stop = new AbortController()
    const waiting: Map<number, Pending> = new Map()
    const job: InferenceJob = { folder, threads, port: port2 }
    const url = workerUrl(import.meta.url, '../worker/inference-worker.ts')
    const ended = runInWorker<InferenceJob, void>(url, job, { signal: stop.signal, transfer: [port2 as never] }).then(
      () => undefined,
      (error: unknown) => (EspalierError.is(error) ? error : new RunError('INTERNAL', String(error), { cause: error })),
    )
    const description = await new Promise<ModelDescription>((resolve, reject) => {
      void ended.then((fault) => reject(fault))
      port1.onmessage = ({ data }: MessageEvent<FromInference>) => {
        if ('ready' in data) return resolve(data.ready)
        waiting.get(data.id)?.resolve(data.answers)
        waiting.delete(data.id)
      }
    })
    const thread = new InferenceThread(description, ended, port1, stop, waiting)
    void ended.then((fault) => {
      thread.#gone = true
      port1.close()
      const error = fault ?? new RunError('WORKER_EXIT', 'The inference thread has ended')
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
    })
    return thread
  }

  /** Answers of a batch, one per item. @throws RunError if the thread ends first. */
  run(items: WorkItem[]): Promise<Answer[]> {
    const id = this.#id++
    if (this.#gone) return Promise.reject(new RunError('WORKER_EXIT', 'The inference thread has ended'))
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#port.postMessage({ id, items } satisfies ToInference)
    })
  }

  /** Ends the thread after the batch it works on. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.ended
  }
}
