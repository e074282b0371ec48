/** One task's whole checkpoint from a merged folder: the shared weights turned into the task's by what was kept for it, with the task's head. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Checkpoint, openCheckpoint, readJsonObject } from '../../checkpoint/checkpoint.ts'
import { openSafetensors, type SafetensorsFile } from '../../checkpoint/safetensors-file.ts'
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import { writeCheckpoint } from '../../checkpoint/write-checkpoint.ts'
import type { TensorEntry } from '../../checkpoint/write-safetensors.ts'
import { findNonFinite } from '../../tensor/finite.ts'
import { isMergeDtype, type MergeDtype, MergeKernels } from '../../tensor/merge-kernels.ts'
import { recordFile } from '../../util/atomic.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import { openSource } from '../engine/element-sources.ts'
import { FilePool } from '../engine/file-pool.ts'
import type { ElementSource } from '../engine/tensor-task.ts'
import { classifierFiles } from '../engine/write-heads.ts'
import { closeInputs, type MergeInput, openInputs } from '../plan/merge-inputs.ts'
import type { TensorSource } from '../plan/merge-plan.ts'
import { sourceOf, storedSource } from '../plan/sources.ts'
import { backbonePrefix, withoutPrefix } from '../plan/tensor-names.ts'
import { formatModelRef, parseModelRef } from '../recipe/model-ref.ts'
import { bitAt, partsOf, type TaskForm } from './forms.ts'
import { digests, filesOf, findTask, type MergedTask, readTaskIndex, type TaskIndex } from './task-index.ts'

export interface MaterializeOptions extends RunOptions {
  /** The base that was merged on, if it is needed and no longer where it was. */
  base?: string
  /** Replace an output folder that this package wrote. */
  force?: boolean
  /** What the output's record says as the command. */
  command?: string
}

export interface MaterializedTask {
  readonly folder: string
  readonly task: MergedTask
  readonly tensors: number
  readonly bytes: number
}

const blockLength = 1 << 16

/** See `materializeTask` in merge.ts. */
export async function writeTask(
  folder: string,
  task: string,
  out: string,
  options: MaterializeOptions = {},
): Promise<MaterializedTask> {
  const index = await readTaskIndex(folder)
  const found = findTask(index, task, folder)
  const files = new FilePool()
  const opened: { close(): Promise<void> }[] = []
  let bases: ReadonlyMap<string, MergeInput> = new Map()
  try {
    const shared = await openCheckpoint(folder)
    opened.push(shared)
    const parts = await openSafetensors(join(folder, 'tasks', found.name, 'task.safetensors'))
    opened.push(parts)
    checkParts(index, shared, parts)
    bases = await openBase(index, folder, options)
    const head = await openHead(folder, found.name)
    if (head) opened.push(head.file)
    const kernels = await MergeKernels.open()
    const base = baseOf(shared, [...bases.values()][0])
    if (index.base) await checkBase(index.base.sha256, base, shared, index.forms, options.signal)
    const builder = new TaskTensors(kernels, files, parts, base)
    const tensors = [
      ...Array.from(shared.tensors.values(), (info) => builder.entry(info, index.forms.get(info.name))),
      ...Array.from(head?.file.tensors.values() ?? [], (info) => builder.entry(info, undefined)),
    ]
    await writeCheckpoint(
      out,
      {
        config: { ...shared.config, ...head?.config },
        tensors,
        copyFrom: folder,
        files: { ...(await classifierOf(folder, found.name)), [recordFile]: record(index, found, folder, options) },
      },
      { ...options, checkFinite: true },
    )
    const bytes = tensors.reduce((sum, { bytes }) => sum + bytes, 0)
    return { folder: out, task: found, tensors: tensors.length, bytes }
  } finally {
    files.close()
    await Promise.all(opened.map((file) => file.close()))
    await closeInputs(bases)
  }
}

const record = (index: TaskIndex, task: MergedTask, folder: string, { command }: MaterializeOptions): string =>
  `${JSON.stringify(
    {
      version,
      verb: 'merge',
      ...(command === undefined ? {} : { command }),
      method: index.method,
      task: task.name,
      model: task.model,
      merged: folder,
      ...(index.base ? { base: index.base } : {}),
    },
    null,
    2,
  )}\n`

const formatFault = ({ file }: SafetensorsFile, tensor: string, message: string): InputError =>
  new InputError('TASK_FORMAT', message, {
    where: { file, tensor },
    help: 'the per-task files are damaged, or of another merge: merge again',
  })

/** Every form has a tensor to be applied to and all its parts, as they must be. */
function checkParts({ forms }: TaskIndex, shared: Checkpoint, parts: SafetensorsFile): void {
  const fault = (tensor: string, message: string) => formatFault(parts, tensor, message)
  const expected = new Set<string>()
  for (const [name, form] of forms) {
    const info = shared.tensors.get(name)
    if (!info) throw fault(name, 'The merged checkpoint has no such tensor')
    if (!isMergeDtype(info.dtype)) throw fault(name, `Expected a float tensor, received ${info.dtype}`)
    for (const { name: suffix, dtype, shape } of partsOf(form, info.shape)) {
      const key = `${name}.${suffix}`
      expected.add(key)
      const part = parts.tensors.get(key)
      // A task whose model lacks the tensor has none of its parts: it takes the merged one.
      if (!part && partsOf(form, info.shape).every((other) => !parts.tensors.has(`${name}.${other.name}`))) continue
      if (!part) throw fault(key, 'A part is missing')
      if (part.dtype !== dtype || part.shape.join() !== shape.join())
        throw fault(
          key,
          `Expected ${dtype} of shape [${shape.join(', ')}], received ${part.dtype} [${part.shape.join(', ')}]`,
        )
    }
  }
  const foreign = [...parts.tensors.keys()].find((key) => !expected.has(key))
  if (foreign !== undefined) throw fault(foreign, 'There is no form for this part')
}

async function openBase(
  { base }: TaskIndex,
  folder: string,
  options: MaterializeOptions,
): Promise<ReadonlyMap<string, MergeInput>> {
  if (!base) return new Map()
  const text = options.base ?? (base.model.includes('+') ? base.model : base.folder)
  const ref = parseModelRef(text)
  if (!ref) throw new InputError('TASK_BASE', `Expected a model as the base, received "${text}"`)
  try {
    const inputs = await openInputs([ref], folder, options)
    return new Map([[formatModelRef(ref), inputs.get(formatModelRef(ref))!]])
  } catch (error) {
    if (options.base !== undefined || !(error instanceof InputError)) throw error
    throw new InputError('TASK_BASE', `The base that was merged on cannot be opened: ${error.message}`, {
      where: { file: text },
      help: 'say where it is with --base',
      cause: error,
    })
  }
}

/** Where the base's tensor lies that belongs to one of the merged checkpoint. */
type BaseSource = (name: string) => TensorSource | undefined

function baseOf(shared: Checkpoint, input: MergeInput | undefined): BaseSource {
  const prefix = backbonePrefix(shared.tensors.keys())
  return (name) => {
    const info = input?.tensors.get(withoutPrefix(name, prefix))
    return info && shared.tensors.get(name)?.shape.join() === info.shape.join() ? sourceOf(input!, info) : undefined
  }
}

/** The base's files are those that were merged on. */
async function checkBase(
  expected: Readonly<Record<string, string>>,
  base: BaseSource,
  shared: Checkpoint,
  forms: ReadonlyMap<string, TaskForm>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sources: TensorSource[] = []
  for (const name of forms.keys()) {
    const source = base(name)
    if (!source)
      throw new InputError('TASK_BASE', 'The base lacks this tensor, or has it in another shape', {
        where: { file: shared.folder, tensor: name },
        help: 'give the base that was merged on with --base',
      })
    sources.push(source)
  }
  const received = await digests(sources.flatMap(filesOf), signal)
  for (const [file, digest] of Object.entries(received))
    if (expected[file] !== digest)
      throw new InputError('TASK_BASE', 'The base is not the one that was merged on: its weights differ', {
        where: { file },
        help: 'give the base that was merged on with --base',
        data: { expected: expected[file], received: digest },
      })
}

/** The head that was kept for the task, if there is one. */
async function openHead(
  folder: string,
  name: string,
): Promise<{ file: SafetensorsFile; config: Record<string, unknown> } | undefined> {
  const home = join(folder, 'heads', name)
  const file = await openSafetensors(join(home, 'head.safetensors')).catch((error: unknown) => {
    if (error instanceof InputError && error.code === 'ENOENT') return undefined
    throw error
  })
  if (!file) return undefined
  const { model: _, ...config } = await readJsonObject(join(home, 'head.json'))
  return { file, config }
}

/** Label tree and settings of a trained classifier: those kept with the task's head, or those of the merged model. */
async function classifierOf(folder: string, name: string): Promise<Record<string, Uint8Array>> {
  for (const home of [join(folder, 'heads', name), folder]) {
    const texts = await Promise.all(classifierFiles.map((file) => readFile(join(home, file)).catch(() => undefined)))
    if (texts.every((text) => text !== undefined))
      return Object.fromEntries(classifierFiles.map((file, i) => [file, texts[i]!]))
  }
  return {}
}

/** Makes a task's tensors block by block. */
class TaskTensors {
  private readonly kernels: MergeKernels
  private readonly files: FilePool
  private readonly parts: SafetensorsFile
  private readonly base: BaseSource

  constructor(kernels: MergeKernels, files: FilePool, parts: SafetensorsFile, base: BaseSource) {
    this.kernels = kernels
    this.files = files
    this.parts = parts
    this.base = base
  }

  entry(info: TensorInfo, form: TaskForm | undefined): TensorEntry & { bytes: number } {
    const { name, dtype, shape, bytes } = info
    const applied = form && partsOf(form, shape).every((part) => this.parts.tensors.has(`${name}.${part.name}`))
    return { name, dtype, shape: [...shape], bytes, data: () => (applied ? this.made(info, form) : this.copied(info)) }
  }

  private async *copied({ place, bytes }: TensorInfo): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes; at += 1 << 20) {
      const block = new Uint8Array(Math.min(1 << 20, bytes - at))
      this.files.read(place!.file, place!.offset + at, block)
      yield block
    }
  }

  private async *made(info: TensorInfo, form: TaskForm): AsyncGenerator<Uint8Array> {
    const { kernels, files } = this
    const length = info.shape.reduce((product, size) => product * size, 1)
    kernels.clear()
    const shared = openSource(storedSource(info), files, kernels)
    const origin = form.kind === 'mask' ? openSource(this.base(info.name)!, files, kernels) : undefined
    const apply = await this.change(info, form)
    for (let start = 0; start < length; start += blockLength) {
      const values = this.decoded('shared', shared, start, Math.min(blockLength, length - start))
      apply(values, start, origin && this.decoded('base', origin, start, values.length))
      const bytes = kernels.bytes('written', values.length * bytesOf(info.dtype as MergeDtype))
      kernels.encode(values, info.dtype as MergeDtype, bytes)
      yield bytes.slice()
    }
  }

  private decoded(name: string, source: ElementSource, start: number, length: number): Float64Array {
    const bytes = this.kernels.bytes(`${name} bytes`, length * bytesOf(source.dtype))
    source.read(start, bytes)
    const values = this.kernels.doubles(name, length)
    this.kernels.decode(bytes, source.dtype, values)
    return values
  }

  /** What turns a block of shared weights into the task's, in place. */
  private async change(
    { name, shape }: TensorInfo,
    form: TaskForm,
  ): Promise<(values: Float64Array, start: number, base: Float64Array | undefined) => void> {
    const bytes = async (part: string) => {
      const info = this.parts.tensors.get(`${name}.${part}`)!
      const target = new Uint8Array(info.bytes)
      await this.parts.readInto(info.name, target)
      if (findNonFinite(target, info.dtype) >= 0) throw formatFault(this.parts, info.name, 'It is NaN or infinite')
      return target
    }
    const doubles = async (part: string) => new Float64Array((await bytes(part)).buffer)
    const floats = async (part: string) => new Float32Array((await bytes(part)).buffer)
    const columns = shape.slice(1).reduce((product, size) => product * size, 1)
    switch (form.kind) {
      case 'mask': {
        const [bits, [scale]] = [await bytes('bits'), await doubles('scale')]
        return (values, start, base) => {
          for (let i = 0; i < values.length; i++)
            values[i] = bitAt(bits, start + i) ? base![i]! + scale! * (values[i]! - base![i]!) : base![i]!
        }
      }
      case 'signs': {
        const [bits, scales] = [await bytes('bits'), await doubles('scale')]
        return (values, start) => {
          for (let i = 0; i < values.length; i++) {
            const scale = scales[form.scales === 'rows' ? Math.floor((start + i) / columns) : 0]!
            values[i]! += bitAt(bits, start + i) ? scale : -scale
          }
        }
      }
      case 'factors': {
        const [left, right, { rank }] = [await floats('left'), await floats('right'), form]
        return (values, start) => {
          for (let i = 0; i < values.length; i++) {
            const [row, column] = [Math.floor((start + i) / columns), (start + i) % columns]
            let sum = 0
            for (let r = 0; r < rank; r++) sum += left[row * rank + r]! * right[r * columns + column]!
            values[i]! += sum
          }
        }
      }
      case 'difference': {
        const difference = await floats('difference')
        return (values, start) => {
          for (let i = 0; i < values.length; i++) values[i]! += difference[start + i]!
        }
      }
    }
  }
}

const bytesOf = (dtype: MergeDtype): number => (dtype === 'F64' ? 8 : dtype === 'F32' ? 4 : 2)
