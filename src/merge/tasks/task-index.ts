/** `tasks/tasks.json` of a merged folder: the tasks, the form of each tensor, and the base if it is needed again. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as v from 'valibot'
import { InputError, systemError, throwIfAborted } from '../../util/errors.ts'
import { readJson } from '../../util/json.ts'
import { didYouMean } from '../../util/suggest.ts'
import type { MergeMethod } from '../merge-method.ts'
import type { MergePlan, TensorSource } from '../plan/merge-plan.ts'
import { type TaskForm, taskFolder } from './forms.ts'

export interface MergedTask {
  /** The name to ask for, and that of its folders below `tasks` and `heads`. */
  readonly name: string
  /** The model that it was merged from. */
  readonly model: string
}

export interface TaskIndex {
  readonly method: string
  readonly tasks: readonly MergedTask[]
  /** By the names of the merged checkpoint; tensors that are not here are the same for all tasks. */
  readonly forms: ReadonlyMap<string, TaskForm>
  /** Present if a task's weights are made with the base's again: where it was, and the digests of its files. */
  readonly base?: { readonly model: string; readonly folder: string; readonly sha256: Readonly<Record<string, string>> }
}

const largestRank = 1e6

const form = v.variant('kind', [
  v.object({ kind: v.literal('mask') }),
  v.object({ kind: v.literal('signs'), scales: v.picklist(['tensor', 'rows']) }),
  v.object({
    kind: v.literal('factors'),
    rank: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(largestRank)),
  }),
  v.object({ kind: v.literal('difference') }),
])

/** A name that stays inside its folder. */
const folderName = v.pipe(v.string(), v.regex(/^(?!\.{1,2}$)[^\\/\0]+$/, 'Expected the name of a folder'))

const schema = v.object({
  format: v.literal(1),
  method: v.string(),
  tasks: v.array(v.object({ name: folderName, model: v.string() })),
  forms: v.record(v.string(), form),
  base: v.optional(v.object({ model: v.string(), folder: v.string(), sha256: v.record(v.string(), v.string()) })),
})

const indexFile = (folder: string): string => join(folder, 'tasks', 'tasks.json')

/**
 * The tasks of a merged folder.
 * @throws InputError `TASK_NONE` if it has none, `TASK_FORMAT`, and those of reading JSON.
 * @example
 * const { tasks } = await readTaskIndex('merged')
 */
export async function readTaskIndex(folder: string): Promise<TaskIndex> {
  const file = indexFile(folder)
  if (!(await stat(file).catch(() => undefined)))
    throw new InputError('TASK_NONE', 'The folder holds no per-task outputs', {
      where: { file: folder },
      help: 'give a folder merged by a method that keeps one model a task, such as emr, tall_mask, bitdelta or twin_merging',
    })
  const parsed = v.safeParse(schema, await readJson(file))
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw new InputError('TASK_FORMAT', issue.message, {
      where: { file, key: v.getDotPath(issue) ?? '' },
      help: 'the file is damaged, or of a newer version: merge again',
    })
  }
  const { method, tasks, forms, base } = parsed.output
  return { method, tasks, forms: new Map(Object.entries(forms)), ...(base ? { base } : {}) }
}

/** The task of that name. @throws InputError `TASK_UNKNOWN` */
export function findTask(index: TaskIndex, name: string, folder: string): MergedTask {
  const found = index.tasks.find((task) => task.name === name)
  if (found) return found
  const names = index.tasks.map((task) => task.name)
  throw new InputError('TASK_UNKNOWN', `The folder has no task "${name}"`, {
    where: { file: folder },
    help: didYouMean(name, names, `tasks: ${names.join(', ')}`),
    data: { known: names },
  })
}

export async function writeTaskIndex(
  folder: string,
  plan: MergePlan,
  method: MergeMethod,
  { files, forms }: { files: readonly { readonly key: string }[]; forms: ReadonlyMap<string, TaskForm> },
): Promise<void> {
  const input = plan.inputs.find(({ base }) => base)
  const sources = plan.tensors.flatMap(({ base }) => (base ? filesOf(base) : []))
  const index = {
    format: 1,
    method: method.name,
    tasks: files.map(({ key }) => ({
      name: taskFolder(key),
      model: plan.inputs.find((found) => found.key === key)?.label ?? key,
    })),
    forms: Object.fromEntries(forms),
    ...(method.definition.tasks?.base && input
      ? { base: { model: input.label, folder: input.folder, sha256: await digests(sources) } }
      : {}),
  }
  await writeFile(indexFile(folder), `${JSON.stringify(index, null, 2)}\n`)
}

/** The files that a tensor's elements are read from. */
export function filesOf(source: TensorSource): string[] {
  if (source.kind === 'stored') return [source.file]
  if (source.kind === 'lora') return [source.weight.file, source.a.file, source.b.file]
  return source.parts.map(({ file }) => file)
}

/** SHA-256 of files, by their names without folders. */
export async function digests(files: readonly string[], signal?: AbortSignal): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const file of [...new Set(files)].sort()) {
    const hash = createHash('sha256')
    try {
      for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
        throwIfAborted(signal)
        hash.update(chunk as Uint8Array)
      }
    } catch (error) {
      throw systemError(error) ?? error
    }
    found[basename(file)] = hash.digest('hex')
  }
  return found
}
