/** Applies a LoRA adapter to a checkpoint, as a view: tensors are merged when they are read, in float64, and rounded once to the base's dtype. */
import { dtypes, fromFloat64, toFloat64 } from '../tensor/dtypes.ts'
import { InputError } from '../util/errors.ts'
import { type Checkpoint, checkpointFrom } from './checkpoint.ts'
import type { LoraAdapter, LoraUpdate } from './lora-adapter.ts'
import type { SafetensorsFile } from './safetensors-file.ts'
import type { TensorInfo } from './safetensors-header.ts'

export interface ApplyLoraOptions {
  /** How much of the adapter to add (default 1): W + weight * scale * B A. */
  weight?: number
}

/** How a tensor of the view comes about. */
type Origin =
  | { kind: 'update'; base: string; update: LoraUpdate }
  | { kind: 'bias'; base: string; tensor: string; scale: number }
  | { kind: 'replaced'; tensor: string }

/**
 * The base checkpoint with an adapter applied. Only what is read is computed, also parts of tensors; biases and modules_to_save come from
 * the adapter. Closing the view closes both.
 *
 * Throws InputError `ADAPTER_MISMATCH` if a module is not in the base, or its shape is another; the tensor is named.
 *
 * @example
 * const model = applyLora(await openCheckpoint('base'), await openLora('adapter'))
 * const merged = await model.readFloat32('bert.encoder.layer.0.attention.self.query.weight')
 */
export function applyLora(base: Checkpoint, adapter: LoraAdapter, options: ApplyLoraOptions = {}): Checkpoint {
  const weight = options.weight ?? 1
  const origins = new Map<string, Origin>()
  const tensors = new Map(base.tensors)
  const changed = (name: string, info: TensorInfo, origin: Origin) => {
    const { place: _, ...computed } = info
    tensors.set(name, computed)
    origins.set(name, origin)
  }
  for (const update of adapter.updates) {
    const name = baseName(base, `${update.module}.weight`, adapter)
    const info = base.tensors.get(name)!
    checkShape(info, update, adapter)
    changed(name, info, { kind: 'update', base: name, update })
  }
  for (const [wanted, { tensor, scale }] of adapter.addedBiases) {
    const name = baseName(base, wanted, adapter)
    const info = base.tensors.get(name)!
    expectShape(info.shape, adapter.file.tensors.get(tensor)!, adapter)
    changed(name, info, { kind: 'bias', base: name, tensor, scale })
  }
  for (const [wanted, tensor] of adapter.replaced) {
    const info = adapter.file.tensors.get(tensor)!
    const name = findBaseName(base, wanted) ?? wanted // a new head has no counterpart
    const known = base.tensors.get(name)
    const isHead = !known || isSavedModule(wanted, adapter)
    if (known && !isHead) expectShape(known.shape, info, adapter)
    changed(name, { ...info, name }, { kind: 'replaced', tensor })
  }

  let held: { update: LoraUpdate; factors: Promise<Factors> } | undefined
  const factorsOf = (update: LoraUpdate) => {
    if (held?.update !== update) held = { update, factors: readFactors(adapter.file, update, weight) }
    return held.factors
  }
  return checkpointFrom({
    folder: base.folder,
    config: base.config,
    files: [...base.files, adapter.file.file],
    metadata: base.metadata,
    tensors,
    async readInto(name, target, byteOffset = 0) {
      const origin = origins.get(name)
      if (!origin) return base.readInto(name, target, byteOffset)
      if (origin.kind === 'replaced') return adapter.file.readInto(origin.tensor, target, byteOffset)
      const { dtype, shape } = tensors.get(name)!
      const size = dtypes[dtype].bits / 8
      const first = Math.floor(byteOffset / size)
      const last = Math.ceil((byteOffset + target.length) / size)
      const bytes = new Uint8Array((last - first) * size)
      await base.readInto(origin.base, bytes, first * size)
      const values = toFloat64(bytes, dtype, new Float64Array(last - first))
      if (origin.kind === 'update') addProduct(values, first, shape, await factorsOf(origin.update))
      else await addBias(values, first, adapter.file, origin, weight)
      target.set(
        fromFloat64(values, dtype).subarray(byteOffset - first * size, byteOffset - first * size + target.length),
      )
    },
    async close() {
      await Promise.all([base.close(), adapter.close()])
    },
  })
}

/** The product to add, as left [rows, rank] times right [rank, columns] in the orientation of the stored weight. */
interface Factors {
  left: Float64Array
  right: Float64Array
  rank: number
}

async function readFactors(
  file: SafetensorsFile,
  { a, b, rank, scale, transposed }: LoraUpdate,
  weight: number,
): Promise<Factors> {
  const read = async (name: string) => {
    const { dtype, bytes } = file.tensors.get(name)!
    const raw = new Uint8Array(bytes)
    await file.readInto(name, raw)
    return toFloat64(raw, dtype)
  }
  const [matrixA, matrixB] = [await read(a), await read(b)]
  const left = transposed ? transpose(matrixA, rank) : matrixB.slice()
  for (let i = 0; i < left.length; i++) left[i]! *= weight * scale
  return { left, right: transposed ? transpose(matrixB, matrixB.length / rank) : matrixA, rank }
}

function transpose(matrix: Float64Array, rows: number): Float64Array {
  const columns = matrix.length / rows
  const result = new Float64Array(matrix.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j]!
  return result
}

/** Adds the elements of left times right that begin at element `first` of the weight, row by row. */
function addProduct(
  values: Float64Array,
  first: number,
  shape: readonly number[],
  { left, right, rank }: Factors,
): void {
  const columns = right.length / rank
  const rows = shape[0]!
  for (let row = Math.floor(first / columns); row < rows; row++) {
    const start = row * columns - first
    if (start >= values.length) break
    const from = Math.max(0, -start)
    const to = Math.min(columns, values.length - start)
    for (let k = 0; k < rank; k++) {
      const factor = left[row * rank + k]!
      const offset = k * columns
      for (let j = from; j < to; j++) values[start + j]! += factor * right[offset + j]!
    }
  }
}

async function addBias(
  values: Float64Array,
  first: number,
  file: SafetensorsFile,
  { tensor, scale }: { tensor: string; scale: number },
  weight: number,
): Promise<void> {
  const { dtype, bytes } = file.tensors.get(tensor)!
  const raw = new Uint8Array(bytes)
  await file.readInto(tensor, raw)
  const bias = toFloat64(raw, dtype)
  for (let i = 0; i < values.length; i++) values[i]! += weight * scale * bias[first + i]!
}

function mismatch(adapter: LoraAdapter, tensor: string, message: string): InputError {
  return new InputError('ADAPTER_MISMATCH', message, {
    where: { file: adapter.folder, tensor },
    help: `the adapter was trained on ${adapter.baseModel ?? 'another model'}: give that base`,
  })
}

/** The base's name for a tensor of the adapter: the same, or one with a model prefix (`bert.`) more or less. */
function findBaseName(base: Checkpoint, name: string): string | undefined {
  if (base.tensors.has(name)) return name
  const shorter = name.slice(name.indexOf('.') + 1)
  if (base.tensors.has(shorter)) return shorter
  const longer = [...base.tensors.keys()].filter(
    (key) => key.endsWith(`.${name}`) && !key.slice(0, -name.length - 1).includes('.'),
  )
  return longer.length === 1 ? longer[0] : undefined
}

function baseName(base: Checkpoint, name: string, adapter: LoraAdapter): string {
  const found = findBaseName(base, name)
  if (found === undefined) throw mismatch(adapter, name, 'The base checkpoint has no such tensor')
  return found
}

function isSavedModule(name: string, adapter: LoraAdapter): boolean {
  const saved = adapter.config['modules_to_save']
  const module = name.slice(0, name.lastIndexOf('.'))
  return (
    Array.isArray(saved) &&
    saved.some((entry) => module === entry || module.endsWith(`.${entry}`) || module.includes(`${entry}.`))
  )
}

function expectShape(expected: readonly number[], found: TensorInfo, adapter: LoraAdapter): void {
  if (found.shape.join() !== expected.join())
    throw mismatch(
      adapter,
      found.name,
      `Expected the base's shape [${expected.join(', ')}], received [${found.shape.join(', ')}]`,
    )
}

function checkShape({ name, shape, dtype }: TensorInfo, { a, b, transposed }: LoraUpdate, adapter: LoraAdapter): void {
  const [, ...input] = adapter.file.tensors.get(a)!.shape
  const [output] = adapter.file.tensors.get(b)!.shape
  const expected = transposed ? [...input, output] : [output, ...input]
  if (shape.join() !== expected.join())
    throw mismatch(
      adapter,
      name,
      `The adapter changes a weight of shape [${expected.join(', ')}], the base has [${shape.join(', ')}]`,
    )
  if (dtypes[dtype].kind !== 'float')
    throw mismatch(adapter, name, `The base's weight is ${dtype}; an adapter can only be added to floats`)
}
