/** What a merge keeps for each task, as files of known layout: `tasks/NAME/task.safetensors`, filled in place tensor by tensor. */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { layoutSafetensors, type SafetensorsLayout } from '../../checkpoint/safetensors-header.ts'
import { findNonFinite } from '../../tensor/finite.ts'
import { InputError } from '../../util/errors.ts'
import type { MergeMethod } from '../merge-method.ts'
import type { MergePlan } from '../plan/merge-plan.ts'
import { partsOf, type TaskForm, type TaskPart, taskFolder } from '../tasks/forms.ts'
import type { FilePool } from './file-pool.ts'
import type { TensorTaskInput } from './tensor-task.ts'

/** Where a part of a task's form goes. */
export interface TaskPlace {
  readonly part: TaskPart
  readonly file: string
  readonly offset: number
  readonly bytes: number
}

export interface TaskFiles {
  readonly files: readonly { readonly key: string; readonly file: string; readonly layout: SafetensorsLayout }[]
  /** By tensor, for each of its models, the places of the parts; empty for tensors that all tasks share. */
  readonly places: readonly (readonly (readonly TaskPlace[])[])[]
  readonly forms: ReadonlyMap<string, TaskForm>
}

export const partName = (tensor: string, part: TaskPart): string => `${tensor}.${part.name}`

/** Lays out the files of all tasks; undefined for methods without per-task outputs. */
export function layoutTasks(
  { tensors }: MergePlan,
  { definition }: MergeMethod,
  folder: string,
): TaskFiles | undefined {
  const { tasks } = definition
  if (!tasks) return undefined
  const merged = tensors.filter(({ action }) => action === 'merge')
  const regrouped = tasks.base && merged.find(({ base }) => base?.kind === 'rows')
  if (regrouped)
    throw new InputError('MERGE_CONFLICT', `Method ${definition.info.name} cannot give the base a new vocabulary`, {
      where: { tensor: regrouped.name },
      help: 'its tasks need the base again: merge models of one vocabulary, without "tokenizer"',
    })
  const forms = new Map(merged.map(({ name, shape, options }) => [name, tasks.form(shape, options as never, name)]))
  const keys = [...new Set(merged.flatMap(({ keys }) => keys))]
  const files = keys.map((key) => {
    const specs = merged
      .filter((tensor) => tensor.keys.includes(key))
      .flatMap(({ name, shape }) =>
        partsOf(forms.get(name)!, shape).map((part) => ({
          name: partName(name, part),
          dtype: part.dtype,
          shape: [...part.shape],
        })),
      )
    const file = join(folder, 'tasks', taskFolder(key), 'task.safetensors')
    return { key, file, layout: layoutSafetensors(specs, undefined, file) }
  })
  const found = new Map(
    files.map(({ key, file, layout }) => [
      key,
      { file, parts: new Map(layout.tensors.map((tensor) => [tensor.name, tensor])) },
    ]),
  )
  const places = tensors.map(({ name, shape, action, keys }) =>
    action !== 'merge'
      ? []
      : keys.map((key) =>
          partsOf(forms.get(name)!, shape).map((part) => {
            const { file, parts } = found.get(key)!
            const { offset, bytes } = parts.get(partName(name, part))!
            return { part, file, offset, bytes }
          }),
        ),
  )
  return { files, places, forms }
}

/** Writes the parts of one tensor into their places, and adds up their checksums. */
export class TaskPartWriter {
  private readonly places: readonly (readonly TaskPlace[])[]
  private readonly files: FilePool
  private readonly sums: number[][]
  private readonly written: number[][]

  constructor(places: readonly (readonly TaskPlace[])[], files: FilePool) {
    this.places = places
    this.files = files
    this.sums = places.map((parts) => parts.map(() => 0))
    this.written = places.map((parts) => parts.map(() => 0))
  }

  readonly write: NonNullable<TensorTaskInput['writePart']> = (model, name, bytes, start) => {
    const index = this.places[model]!.findIndex(({ part }) => part.name === name)
    const place = this.places[model]![index]
    if (!place || this.written[model]![index] !== start || start + bytes.length > place.bytes)
      throw new TypeError(`Part ${name} from byte ${start} on is not what the form says`)
    if (findNonFinite(bytes, place.part.dtype) >= 0)
      throw new InputError('NOT_FINITE', 'What is kept for a task is NaN or infinite', {
        help: 'a model is damaged: fetch or train it again, or leave it out',
        data: { model, part: name },
      })
    this.files.write(place.file, place.offset + start, bytes)
    this.sums[model]![index] = crc32(bytes, this.sums[model]![index])
    this.written[model]![index] = start + bytes.length
  }

  /** The checksum of the tensor together with its parts. */
  total(sum: number): number {
    return foldChecksums(sum, this.sums.flat())
  }
}

/** One checksum of many, in order. */
export const foldChecksums = (sum: number, parts: readonly number[]): number =>
  parts.length === 0 ? sum : crc32(new Uint8Array(Uint32Array.from([sum, ...parts]).buffer))
