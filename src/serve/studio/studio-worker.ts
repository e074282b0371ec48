/** The studio's thread: jobs one after the other, in the order in which they came. */
import { parentPort } from 'node:worker_threads'
import { InterruptedError, toErrorRecord } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { FromThread, ToThread } from './job-thread.ts'
import { jobs } from './jobs.ts'

const port = parentPort
if (!port) throw new Error('this module runs in a worker thread only')
const controllers = new Map<number, AbortController>()
const post = (message: FromThread) => port.postMessage(message)
let queue: Promise<void> = Promise.resolve()

async function work({ id, name, input }: Extract<ToThread, { type: 'start' }>, signal: AbortSignal): Promise<void> {
  try {
    const job = jobs[name] as (input: unknown, options: RunOptions) => Promise<unknown>
    post({
      type: 'done',
      id,
      result: await job(input, { signal, onProgress: (progress) => post({ type: 'progress', id, progress }) }),
    })
  } catch (error) {
    post({ type: 'failed', id, error: toErrorRecord(error) })
  } finally {
    controllers.delete(id)
  }
}

port.on('message', (message: ToThread) => {
  if (message.type === 'abort') {
    controllers.get(message.id)?.abort(new InterruptedError())
    return
  }
  const controller = new AbortController()
  controllers.set(message.id, controller)
  queue = queue.then(() => work(message, controller.signal))
})
