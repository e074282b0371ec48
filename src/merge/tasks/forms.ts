/**
 * Per-task outputs of a merge: beside the shared checkpoint each task keeps, for every tensor, what turns the shared weights into its own. The
 * forms are few, so that reading them does not depend on the method that wrote them.
 */
import type { Dtype } from '../../tensor/dtypes.ts'

/**
 * How a task's tensor is made of the shared one:
 * - `mask`: base + scale (shared - base) where a bit is set, the base elsewhere (EMR, TALL masks);
 * - `signs`: shared + scale where a bit is set, shared - scale elsewhere, with one scale for the tensor or for each row (BitDelta);
 * - `factors`: shared + left right, a product of rank `rank` (Twin-Merging);
 * - `difference`: shared + difference, element by element.
 */
export type TaskForm =
  | { readonly kind: 'mask' }
  | { readonly kind: 'signs'; readonly scales: 'tensor' | 'rows' }
  | { readonly kind: 'factors'; readonly rank: number }
  | { readonly kind: 'difference' }

/** A stored part of a form; its tensor is called `NAME.PART`. */
export interface TaskPart {
  readonly name: 'bits' | 'scale' | 'left' | 'right' | 'difference'
  readonly dtype: Dtype
  readonly shape: readonly number[]
}

const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** The parts that a form stores for a tensor of this shape. Element i is bit i % 8 of byte floor(i / 8). */
export function partsOf(form: TaskForm, shape: readonly number[]): TaskPart[] {
  const length = elements(shape)
  const bits: TaskPart = { name: 'bits', dtype: 'U8', shape: [Math.ceil(length / 8)] }
  switch (form.kind) {
    case 'mask':
      return [bits, { name: 'scale', dtype: 'F64', shape: [1] }]
    case 'signs':
      return [bits, { name: 'scale', dtype: 'F64', shape: [form.scales === 'rows' ? (shape[0] ?? 1) : 1] }]
    case 'factors': {
      const rows = shape[0] ?? 1
      return [
        { name: 'left', dtype: 'F32', shape: [rows, form.rank] },
        { name: 'right', dtype: 'F32', shape: [form.rank, rows === 0 ? 0 : length / rows] },
      ]
    }
    case 'difference':
      return [{ name: 'difference', dtype: 'F32', shape }]
  }
}

/** Packs truth values, eight a byte. */
export function packBits(length: number, isSet: (index: number) => boolean): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 8))
  for (let i = 0; i < length; i++) if (isSet(i)) bytes[i >> 3]! |= 1 << (i & 7)
  return bytes
}

export const bitAt = (bytes: Uint8Array, index: number): boolean => ((bytes[index >> 3]! >> (index & 7)) & 1) === 1

/** The bytes of numbers as they are stored. */
export const bytesOfNumbers = (values: Float32Array | Float64Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

export const bytesOfScales = (...scales: number[]): Uint8Array => bytesOfNumbers(Float64Array.from(scales))

/** The folder of a task below `tasks`, and of its head below `heads`. */
export const taskFolder = (key: string): string => key.replace(/[\\/]+/g, '-')
