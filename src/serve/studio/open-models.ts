/** Models that are open in this thread: the last few that were asked for, closed when others come or their files change. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Classifier } from '../../classify/classifier.ts'
import { loadClassifier } from '../../classify/load-classifier.ts'
import { loadTasks } from '../../classify/load-tasks.ts'
import type { RunOptions } from '../../util/progress.ts'

const mostOpen = 3

interface Open {
  stamp: string
  held: Held
}

const open = new Map<string, Open>()

/** When the folder was written, as far as its answers go. */
async function stampOf(folder: string): Promise<string> {
  const names = ['config.json', 'classifier.json', 'model.safetensors', 'model.safetensors.index.json']
  const stamps = names.map((name) =>
    stat(join(folder, name)).then(
      ({ size, mtimeMs }) => `${size} ${mtimeMs}`,
      () => '',
    ),
  )
  return (await Promise.all(stamps)).join(' ')
}

/**
 * The classifier of a folder, or one head of a merged model. It stays open; nobody closes it but this file.
 * @throws InputError as `loadClassifier` does.
 */
export async function openModel(
  folder: string,
  head: string | undefined,
  options: RunOptions = {},
): Promise<Classifier> {
  const key = JSON.stringify([folder, head])
  const stamp = await stampOf(folder)
  const known = open.get(key)
  open.delete(key)
  if (known?.stamp === stamp) {
    open.set(key, known) // the last one used stands last
    return known.held.model
  }
  await known?.held.close()
  const held = await openUnshared(folder, head, options)
  open.set(key, { stamp, held })
  for (const [other, entry] of open) {
    if (open.size <= mostOpen) break
    open.delete(other)
    await entry.held.close()
  }
  return held.model
}

interface Held {
  model: Classifier
  close(): Promise<void>
}

/** A classifier that its caller closes. */
export async function openUnshared(folder: string, head: string | undefined, options: RunOptions): Promise<Held> {
  if (head === undefined) {
    const model = await loadClassifier(folder, options)
    return { model, close: () => model.close() }
  }
  const tasks = await loadTasks(folder, { ...options, tasks: [head] })
  return { model: tasks.classifier(head), close: () => tasks.close() }
}
