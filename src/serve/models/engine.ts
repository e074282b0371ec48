/**
 * One opened version of a model: its inference threads, and the bounded queue before them. Batches form while the threads are busy: whatever
 * waits when one becomes free runs together, so that a lone request never waits for company. A full batch is handed to a thread while it still
 * works on the one before, so that it need not wait for the main thread.
 */
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { type EspalierError, fromErrorRecord, InterruptedError, RunError } from '../../util/errors.ts'
import type { Limits } from '../limits.ts'
import type { ModelDescription, WorkItem } from '../worker/protocol.ts'
import { type BatchAnswerer, InferenceThread } from './inference-thread.ts'

export interface EngineOptions {
  folder: string
  /** Inference threads, each with the model in memory. Default: see `usualWorkers`. */
  workers?: number | undefined
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
  /** Answered, refused or given up. */
  isSettled: boolean
  resolve(answer: Answered): void
  reject(error: unknown): void
}

type Batch = readonly Waiting[]

/** An inference thread with the batches that it holds, the one in work first. */
interface Lane {
  readonly thread: BatchAnswerer
  readonly batches: Batch[]
  /** When it last finished a batch. */
  free: number
}

/** Batches that a thread holds at most. */
const laneDepth = 2

const openThread = ({ folder, threads, open = InferenceThread.open }: EngineOptions): Promise<BatchAnswerer> =>
  open(folder, threads)

/**
 * Inference threads of a model where nobody said how many: one for an encoder, which has threads inside of its inference, and one for each core,
 * up to four, for an `ngram` model, which has none and is small.
 */
export const usualWorkers = ({ kind }: ModelDescription): number =>
  kind === 'ngram' ? Math.min(4, availableParallelism()) : 1

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
  readonly #lanes = new Set<Lane>()
  #queue: Waiting[] = []
  #queuedTexts = 0
  #queuedCharacters = 0
  #runningTexts = 0
  #isPumpDue = false
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
    const workers = options.workers ?? usualWorkers(first.description)
    const others = Array.from({ length: workers - 1 }, () =>
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
      const waiting: Waiting = { item, texts, characters, isSettled: false, resolve, reject }
      const settle = (act: () => void) => {
        waiting.isSettled = true
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
      this.#pumpSoon()
    })
  }

  /** Answers what has been submitted, then ends the threads. */
  async retire(): Promise<void> {
    if (!this.#isDone) await new Promise<void>((resolve) => (this.#retired = resolve))
    await this.close()
  }

  /** Ends the threads after the batches they work on; what waits is refused. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { reject } of this.#queue.splice(0)) reject(new RunError('STOPPING', 'The server is stopping'))
    await Promise.all([...this.#lanes].map(({ thread }) => thread.stop()))
  }

  get #isDone(): boolean {
    return this.#queue.length === 0 && this.#runningTexts === 0
  }

  #adopt(thread: BatchAnswerer): void {
    const lane: Lane = { thread, batches: [], free: 0 }
    this.#lanes.add(lane)
    void thread.ended.then(async (fault) => {
      this.#lanes.delete(lane)
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

  /** Requests that arrive in the same turn of the event loop run together. */
  #pumpSoon(): void {
    if (this.#isPumpDue) return
    this.#isPumpDue = true
    setImmediate(() => {
      this.#isPumpDue = false
      this.#pump()
    })
  }

  #pump(): void {
    for (let lane = this.#nextLane(); lane; lane = this.#nextLane()) void this.#run(lane, this.#nextBatch())
    if (this.#isDone) this.#retired?.()
  }

  /** The thread that takes the next batch: an idle one, or for a full batch one that has room. */
  #nextLane(): Lane | undefined {
    if (this.#queue.length === 0) return undefined
    const room = this.#queuedTexts >= this.#options.limits.batchTexts ? laneDepth : 1
    let least: Lane | undefined
    for (const lane of this.#lanes) if (lane.batches.length < (least?.batches.length ?? room)) least = lane
    return least
  }

  #nextBatch(): Batch {
    let texts = 0
    let count = 0
    for (const waiting of this.#queue) {
      if (count > 0 && texts + waiting.texts > this.#options.limits.batchTexts) break
      texts += waiting.texts
      count++
    }
    const batch = this.#queue.splice(0, count)
    this.#count(batch, -1)
    return batch
  }

  async #run(lane: Lane, batch: Batch): Promise<void> {
    const texts = batch.reduce((sum, waiting) => sum + waiting.texts, 0)
    const sent = performance.now()
    lane.batches.push(batch)
    this.#runningTexts += texts
    try {
      const answers = await lane.thread.run(batch.map(({ item }) => item))
      for (const [index, waiting] of batch.entries()) {
        const answer = answers[index]!
        if ('error' in answer) waiting.reject(fromErrorRecord(answer.error))
        else waiting.resolve(answer)
      }
      const now = performance.now()
      const seconds = (now - Math.max(sent, lane.free)) / 1000
      lane.free = now
      this.#speed =
        this.#speed === undefined ? texts / seconds : (1 - newest) * this.#speed + (newest * texts) / seconds
      this.#options.onBatch({ texts, seconds })
      lane.batches.shift()
    } catch (error) {
      this.#lanes.delete(lane)
      if (lane.batches[0] === batch || this.#closed) for (const { reject } of batch) reject(error)
      else this.#putBack(batch)
    } finally {
      this.#runningTexts -= texts
      this.#pump()
    }
  }

  /** A batch that a thread held but had not begun when it died waits again, before all others. */
  #putBack(batch: Batch): void {
    const left = batch.filter(({ isSettled }) => !isSettled)
    this.#queue.unshift(...left)
    this.#count(left, 1)
  }

  #count(batch: Batch, sign: 1 | -1): void {
    for (const { texts, characters } of batch) {
      this.#queuedTexts += sign * texts
      this.#queuedCharacters += sign * characters
    }
  }

  #remove(waiting: Waiting): void {
    const at = this.#queue.indexOf(waiting)
    if (at < 0) return
    this.#queue.splice(at, 1)
    this.#count([waiting], -1)
  }

  #secondsUntil(texts: number): number {
    return this.#speed === undefined ? 0 : texts / (this.#speed * Math.max(1, this.#lanes.size))
  }
}
