/** Opening multi-task models, for those who import the whole package: what it needs is loaded with the first one. */
import type { LoadOptions } from './load-classifier.ts'
import type { MultiTaskModel } from './load-tasks.ts'

/**
 * Opens a multi-task model: one encoder and a head for each task, as a merge of classifiers with different labels makes it.
 * @param options.tasks opens only these heads; default all.
 * @throws InputError `TASK_UNKNOWN`, `MODEL_FORMAT` if the folder has no heads, and those of `loadClassifier`.
 * @example
 * const model = await loadTasks('merged')
 * const [answer] = await predict(model.classifier('trec'), ['Who wrote Ulysses ?'])
 * const all = await model.predict(['Who wrote Ulysses ?']) // by task
 */
export async function loadTasks(
  folder: string,
  options: LoadOptions & { tasks?: readonly string[] } = {},
): Promise<MultiTaskModel> {
  return (await import('./load-tasks.ts')).loadTasks(folder, options)
}

/** Names of the tasks of a multi-task model, in order; empty for other folders. */
export async function taskNames(folder: string): Promise<string[]> {
  return (await import('./load-tasks.ts')).taskNames(folder)
}
