import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { faultOf } from '../../../test/temporary-folder.ts'
import { type EspalierError, InputError, RunError, toErrorRecord } from '../../util/errors.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import type { Answer, ModelDescription, WorkItem } from '../worker/protocol.ts'
import { Engine } from './engine.ts'
import type { BatchAnswerer } from './inference-thread.ts'

const description: ModelDescription = { kind: 'test', classifies: true, heads: [] }
const item = (...texts: string[]): WorkItem => ({ strict: false, task: { kind: 'predict', texts, rawScores: false } })

/** An inference thread that the test drives: it shows its batches, and answers, or dies, when told to. */
class DrivenThread implements BatchAnswerer {
  readonly description = description
  readonly batches: string[][][] = []
  readonly #settle: { answer(answers: Answer[]): void; fail(error: unknown): void }[] = []
  #end: (fault: EspalierError | undefined) => void = () => undefined
  readonly ended = new Promise<EspalierError | undefined>((resolve) => (this.#end = resolve))

  run(items: WorkItem[]): Promise<Answer[]> {
    this.batches.push(items.map(({ task }) => task.texts))
    return new Promise((answer, fail) => this.#settle.push({ answer, fail }))
  }

  answer(): void {
    const texts = this.batches[this.batches.length - this.#settle.length]!
    this.#settle.shift()!.answer(texts.map((own) => ({ body: own.join(), tokens: 0 })))
  }

  refuse(error: EspalierError): void {
    const texts = this.batches[this.batches.length - this.#settle.length]!
    this.#settle.shift()!.answer(texts.map(() => ({ error: toErrorRecord(error) })))
  }

  die(fault: EspalierError): void {
    for (const { fail } of this.#settle.splice(0)) fail(fault)
    this.#end(fault)
  }

  async stop(): Promise<void> {
    this.#end(undefined)
  }
}

/** What has been submitted is handed to the threads at the end of a turn of the event loop. */
const turn = () => pause(1)

async function openEngine(limits: Partial<Limits> = {}, workers = 1) {
  const threads: DrivenThread[] = []
  const faults: string[] = []
  const engine = await Engine.open({
    folder: 'none',
    workers,
    threads: 1,
    limits: { ...defaultLimits, ...limits },
    onFault: ({ code }) => faults.push(code),
    onBatch: () => undefined,
    open: async () => {
      threads.push(new DrivenThread())
      return threads.at(-1)!
    },
  })
  return { engine, threads, faults }
}

describe('an engine', () => {
  it('runs what waits together, up to a batch, in order of arrival', async () => {
    const { engine, threads } = await openEngine({ batchTexts: 4 })
    const submit = (...items: WorkItem[]) => items.map((one) => engine.submit(one))
    const first = submit(item('a'))
    await turn()
    const answers = [...first, ...submit(item('b', 'c'), item('d'))]
    await turn()
    expect(threads[0]!.batches).toEqual([[['a']]])
    expect(engine.waitingTexts).toBe(3)
    threads[0]!.answer()
    await turn()
    answers.push(...submit(item('e'), item('f')))
    threads[0]!.answer()
    await turn()
    expect(threads[0]!.batches).toEqual([[['a']], [['b', 'c'], ['d']], [['e'], ['f']]])
    threads[0]!.answer()
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(['a', 'b,c', 'd', 'e', 'f'])
    await engine.close()
  })

  it('runs together what arrives in one turn', async () => {
    const { engine, threads } = await openEngine()
    const answers = [engine.submit(item('a')), engine.submit(item('b'))]
    expect(threads[0]!.batches).toEqual([])
    await turn()
    expect(threads[0]!.batches).toEqual([[['a'], ['b']]])
    threads[0]!.answer()
    await Promise.all(answers)
    await engine.close()
  })

  it('hands a full batch, and no other, to a thread that works on one', async () => {
    const { engine, threads } = await openEngine({ batchTexts: 2 })
    const answers = ['a', 'b', 'c', 'd', 'e'].map((text) => engine.submit(item(text)))
    await turn()
    expect(threads[0]!.batches).toEqual([
      [['a'], ['b']],
      [['c'], ['d']],
    ])
    expect(engine.waitingTexts).toBe(1)
    threads[0]!.answer()
    await turn()
    expect(threads[0]!.batches.length).toBe(2)
    threads[0]!.answer()
    await turn()
    threads[0]!.answer()
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(['a', 'b', 'c', 'd', 'e'])
    await engine.close()
  })

  it('runs one batch in each thread', async () => {
    const { engine, threads } = await openEngine({ batchTexts: 1 }, 2)
    const answers = [engine.submit(item('a')), engine.submit(item('b'))]
    await turn()
    expect(threads.map(({ batches }) => batches)).toEqual([[[['a']]], [[['b']]]])
    for (const thread of threads) thread.answer()
    await Promise.all(answers)
    await engine.close()
  })

  it('refuses what the queue does not hold, and says when to come back', async () => {
    const { engine, threads } = await openEngine({ queueTexts: 3 })
    const running = engine.submit(item('a'))
    await turn()
    const waiting = engine.submit(item('b', 'c', 'd'))
    const fault = await faultOf(() => engine.submit(item('e')))
    expect(fault).toMatchObject({ code: 'OVERLOADED', data: { retryAfterSeconds: 1 } })
    threads[0]!.answer()
    await running
    await turn()
    threads[0]!.answer()
    await waiting
    const later = engine.submit(item('e'))
    await turn()
    threads[0]!.answer()
    expect(await later).toMatchObject({ body: 'e' })
    await engine.close()
  })

  it('refuses what could not be answered within the time limit', async () => {
    const { engine, threads } = await openEngine({ seconds: 0.2 })
    const first = engine.submit(item('a'))
    await pause(100)
    threads[0]!.answer() // about 10 texts a second
    await first
    const answers = Promise.allSettled([engine.submit(item('b', 'c', 'd', 'e'))])
    await turn()
    expect(await faultOf(() => engine.submit(item('f')))).toMatchObject({ code: 'OVERLOADED' })
    threads[0]!.answer()
    await answers
    await engine.close()
  })

  it('gives up at the time limit, and when the client goes', async () => {
    const { engine, threads } = await openEngine({ seconds: 0.1 })
    const client = new AbortController()
    const running = faultOf(() => engine.submit(item('a')))
    await turn()
    const gone = faultOf(() => engine.submit(item('b'), client.signal))
    client.abort()
    expect((await gone).code).toBe('INTERRUPTED')
    expect(engine.waitingTexts).toBe(0)
    const waiting = faultOf(() => engine.submit(item('c')))
    expect((await running).code).toBe('TIME_LIMIT')
    expect((await waiting).code).toBe('OVERLOADED')
    expect(engine.waitingTexts).toBe(0)
    threads[0]!.answer()
    await engine.close()
  })

  it('hands on the fault of an answer', async () => {
    const { engine, threads } = await openEngine()
    const answer = faultOf(() => engine.submit(item('a')))
    await turn()
    threads[0]!.refuse(new InputError('TEXT_EMPTY', 'empty'))
    expect(await answer).toMatchObject({ code: 'TEXT_EMPTY', message: 'empty' })
    await engine.close()
  })

  it('starts a thread in place of one that died; only the batch in work is lost', async () => {
    const { engine, threads, faults } = await openEngine({ batchTexts: 1 })
    const lost = faultOf(() => engine.submit(item('a')))
    const kept = engine.submit(item('b'))
    await turn()
    expect(threads[0]!.batches).toEqual([[['a']], [['b']]])
    threads[0]!.die(new RunError('WORKER_EXIT', 'gone'))
    expect((await lost).code).toBe('WORKER_EXIT')
    await expect.poll(() => threads.length, { timeout: 5000 }).toBe(2)
    await expect.poll(() => threads[1]!.batches).toEqual([[['b']]])
    threads[1]!.answer()
    expect(await kept).toMatchObject({ body: 'b' })
    expect(faults).toEqual(['WORKER_EXIT'])
    await engine.close()
  })

  it('answers what it was asked before it retires', async () => {
    const { engine, threads } = await openEngine()
    const answers = [engine.submit(item('a')), engine.submit(item('b'))]
    const retired = engine.retire()
    await turn()
    threads[0]!.answer()
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(['a', 'b'])
    await retired
    await threads[0]!.ended
  })
})
