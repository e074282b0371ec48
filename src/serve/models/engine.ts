/**
 * One opened version of a model: its inference threads, and the bounded queue before them. Batches form while the threads are busy: whatever
 * waits when one becomes free runs together, so that a lone request never waits for company.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type EspalierError, fromErrorRecord, InterruptedError, RunError } from '../../util/errors.ts'
import type { Limits } from '../limits.ts'
import type { ModelDescription, WorkItem } from '../worker/protocol.ts'
import { type BatchAnswerer, InferenceThread } from './inference-thread.ts'

export interface EngineOptions {
  folder: string
  /** Inference threads, each with the model in memory. */
  workers: number
  /** Threads inside one inference (encoders). */
  threads: number
  limits: Limits
  /** Hears of a thread that died; another is started in its place. */
  onFault: (error: EspalierError) => void
  onBatch: (batch: { texts: number; seconds: number }) => void
  /** Starts an inference thread. Default: a worker thread. */
  open?: (folder: string, threads: number) => Promise<BatchAnswerer>
}

export interface Answered {
  /** JSON text. */
  body: string
  tokens: number
}

interface Waiting {
  item: WorkItem
  texts: number
  characters: number
  resolve(answer: Answered): void
  reject(error: unknown): void
}

const openThread = ({ folder, threads, open = InferenceThread.open }: EngineOptions): Promise<BatchAnswerer> =>
  open(folder, threads)

/** Weight of the newest batch in the running estimate of the speed. */
const newest = 0.2
const longestPause = 30_000
/** Part of the time limit up to which a request is let into the queue: the speed is an estimate, and other work may slow the machine. */
const surelyAnswered = 0.5

const overloaded = (seconds: number): RunError =>
  new RunError('OVERLOADED', 'The model is overloaded: too many texts wait for it', {
    help: 'try again after the time that Retry-After says',
    data: { retryAfterSeconds: Math.max(1, Math.ceil(seconds)) },
  })

export class Engine {
  readonly description: ModelDescription
  readonly #options: EngineOptions
  readonly #threads = new Set<BatchAnswerer>()
  readonly #idle: BatchAnswerer[] = []
  #queue: Waiting[] = []
  #queuedTexts = 0
  #queuedCharacters = 0
  #running = 0
  #runningTexts = 0
  /** Texts a second of one thread; undefined until the first batch. */
  #speed: number | undefined
  #retired: (() => void) | undefined
  #closed = false

  private constructor(description: ModelDescription, options: EngineOptions) {
    this.description = description
    this.#options = options
  }

  /** Opens the model in every thread. @throws the fault of opening it. */
  static async open(options: EngineOptions): Promise<Engine> {
    const first = await openThread(options)
    const engine = new Engine(first.description, options)
    engine.#adopt(first)
    const others = Array.from({ length: options.workers - 1 }, () =>
      openThread(options).then((thread) => engine.#adopt(thread)),
    )
    try {
      await Promise.all(others)
    } catch (error) {
      await engine.retire()
      throw error
    }
    return engine
  }

  /** Texts that wait, those in work not counted. */
  get waitingTexts(): number {
    return this.#queuedTexts
  }

  /**
   * Queues work and resolves with its answer.
   * @throws RunError `OVERLOADED` if too much waits already, `TIME_LIMIT` if the answer takes too long; the answer's own fault.
   */
  submit(item: WorkItem, signal?: AbortSignal): Promise<Answered> {
    const { limits } = this.#options
    const all = item.task.kind === 'rerank' ? [item.task.query, ...item.task.texts] : item.task.texts
    const texts = all.length
    const characters = all.reduce((sum, text) => sum + text.length, 0)
    const wait = this.#secondsUntil(this.#queuedTexts + this.#runningTexts)
    const full =
      this.#queue.length > 0 &&
      (this.#queuedTexts + texts > limits.queueTexts || this.#queuedCharacters + characters > limits.queueCharacters)
    if (full || wait > limits.seconds * surelyAnswered) throw overloaded(wait)
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { item, texts, characters, resolve, reject }
      const settle = (act: () => void) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        act()
      }
      waiting.resolve = (answer) => settle(() => resolve(answer))
      waiting.reject = (error) => settle(() => reject(error))
      const drop = (error: EspalierError) => {
        this.#remove(waiting)
        waiting.reject(error)
      }
      const abort = () => drop(new InterruptedError('The client has gone'))
      const timer = setTimeout(() => {
        const isWaiting = this.#queue.includes(waiting)
        drop(
          isWaiting
            ? overloaded(limits.seconds)
            : new RunError('TIME_LIMIT', `The answer took longer than ${limits.seconds} seconds`),
        )
      }, limits.seconds * 1000)
      signal?.addEventListener('abort', abort)
      this.#queue.push(waiting)
      this.#queuedTexts += texts
      this.#queuedCharacters += characters
      this.#pump()
    })
  }

  /** Answers what has been submitted, then ends the threads. */
  async retire(): Promise<void> {
    if (this.#queue.length > 0 || this.#running > 0) await new Promise<void>((resolve) => (this.#retired = resolve))
    await this.close()
  }

  /** Ends the threads after the batches they work on; what waits is refused. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { reject } of this.#queue.splice(0)) reject(new RunError('STOPPING', 'The server is stopping'))
    await Promise.all([...this.#threads].map((thread) => thread.stop()))
  }

  #adopt(thread: BatchAnswerer): void {
    this.#threads.add(thread)
    this.#idle.push(thread)
    void thread.ended.then(async (fault) => {
      this.#threads.delete(thread)
      const at = this.#idle.indexOf(thread)
      if (at >= 0) this.#idle.splice(at, 1)
      if (this.#closed) return
      this.#options.onFault(fault ?? new RunError('WORKER_EXIT', 'An inference thread has ended'))
      await this.#replace()
    })
    this.#pump()
  }

  async #replace(): Promise<void> {
    for (let pause = 500; !this.#closed; pause = Math.min(2 * pause, longestPause)) {
      await delay(pause, undefined, { ref: false })
      const thread = await openThread(this.#options).catch((error: unknown) => {
        this.#options.onFault(error as EspalierError)
      })
      if (!thread) continue
      if (this.#closed) return thread.stop()
      return this.#adopt(thread)
    }
  }

  #pump(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) void this.#run(this.#idle.shift()!, this.#nextBatch())
    if (this.#queue.length === 0 && this.#running === 0) this.#retired?.()
  }

  #nextBatch(): Waiting[] {
    const batch: Waiting[] = []
    let texts = 0
    for (const waiting of this.#queue) {
      if (batch.length > 0 && texts + waiting.texts > this.#options.limits.batchTexts) break
      batch.push(waiting)
      texts += waiting.texts
    }
    for (const waiting of batch) this.#remove(waiting)
    return batch
  }

  async #run(thread: BatchAnswerer, batch: Waiting[]): Promise<void> {
    const texts = batch.reduce((sum, waiting) => sum + waiting.texts, 0)
    const start = performance.now()
    this.#running++
    this.#runningTexts += texts
    try {
      const answers = await thread.run(batch.map(({ item }) => item))
      for (const [index, waiting] of batch.entries()) {
        const answer = answers[index]!
        if ('error' in answer) waiting.reject(fromErrorRecord(answer.error))
        else waiting.resolve(answer)
      }
      const seconds = (performance.now() - start) / 1000
      this.#speed =
        this.#speed === undefined ? texts / seconds : (1 - newest) * this.#speed + (newest * texts) / seconds
      this.#options.onBatch({ texts, seconds })
      this.#idle.push(thread)
    } catch (error) {
      for (const waiting of batch) waiting.reject(error)
    } finally {
      this.#running--
      this.#runningTexts -= texts
      this.#pump()
    }
  }

  #remove(waiting: Waiting): void {
    const at = this.#queue.indexOf(waiting)
    if (at < 0) return
    this.#queue.splice(at, 1)
    this.#queuedTexts -= waiting.texts
    this.#queuedCharacters -= waiting.characters
  }

  #secondsUntil(texts: number): number {
    return this.#speed === undefined ? 0 : texts / (this.#speed * Math.max(1, this.#threads.size))
  }
}
