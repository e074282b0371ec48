/** The inference thread: opens one model, answers batches one after another, and ends when it is told to. */
import { toErrorRecord } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { answerItems } from './answer.ts'
import { openServedModel } from './open-model.ts'
import type { FromInference, InferenceJob, ToInference } from './protocol.ts'

export async function serveInference({ folder, threads, port }: InferenceJob, { signal }: RunOptions): Promise<void> {
  const model = await openServedModel(folder, threads)
  const post = (message: FromInference) => port.postMessage(message)
  let last = Promise.resolve()
  port.onmessage = ({ data: { id, items } }: MessageEvent<ToInference>) => {
    last = last.then(async () => {
      const answers = await answerItems(model, items).catch((error: unknown) =>
        items.map(() => ({ error: toErrorRecord(error) })),
      )
      post({ id, answers })
    })
  }
  post({ ready: model.description })
  await new Promise<void>((resolve) => {
    if (signal?.aborted) resolve()
    signal?.addEventListener('abort', () => resolve())
  })
  await last
  port.close()
  await model.close()
}
