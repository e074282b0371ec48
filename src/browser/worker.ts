/** The worker's side: holds one classifier and answers calls in their order. Started by worker-client.ts. */
import { InterruptedError, toErrorRecord } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { BrowserClassifier } from './browser-classifier.ts'
import { openClassifier } from './open.ts'
import type { Call, FromWorker, ToWorker } from './protocol.ts'
import { trainHere } from './train.ts'

/** The part of a dedicated worker's global scope that is used here. */
interface WorkerScope {
  postMessage(message: FromWorker, transfer?: Transferable[]): void
  addEventListener(type: 'message', listener: (event: MessageEvent<ToWorker>) => void): void
}
const scope = globalThis as unknown as WorkerScope

let classifier: BrowserClassifier | undefined
const controllers = new Map<number, AbortController>()
/** Calls wait for one another: a session runs one batch at a time. */
let last: Promise<unknown> = Promise.resolve()

async function answer(call: Call, args: readonly unknown[], run: RunOptions): Promise<unknown> {
  if (call === 'load' || call === 'train') {
    const made =
      call === 'load'
        ? await openClassifier(args[0] as Parameters<typeof openClassifier>[0], { ...(args[1] as object), ...run })
        : await trainHere(args[0] as Parameters<typeof trainHere>[0], {
            ...(args[1] as Parameters<typeof trainHere>[1]),
            ...run,
          })
    await classifier?.close()
    classifier = made
    return made.info
  }
  const options = { ...(args[1] as object), ...run }
  if (call === 'predict') return classifier!.predict(args[0] as string[], options)
  if (call === 'embed') return classifier!.embed(args[0] as string[], options)
  return classifier!.files()
}

async function handle(id: number, call: Call, args: readonly unknown[], controller: AbortController): Promise<void> {
  try {
    const result = await answer(call, args, {
      signal: controller.signal,
      onProgress: (progress) => scope.postMessage({ type: 'progress', id, progress }),
    })
    scope.postMessage({ type: 'done', id, result })
  } catch (error) {
    scope.postMessage({ type: 'failed', id, error: toErrorRecord(error) })
  } finally {
    controllers.delete(id)
  }
}

scope.addEventListener('message', ({ data }) => {
  if (data.type === 'abort') return controllers.get(data.id)?.abort(new InterruptedError())
  const controller = new AbortController()
  controllers.set(data.id, controller)
  last = last.then(() => handle(data.id, data.call, data.args, controller))
})
