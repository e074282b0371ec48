/** Every element type of the safetensors format, its size, and conversion to and from float32 and float64. */
import { InputError } from '../util/errors.ts'
import { decodeMinifloat, encodeMinifloat, type Minifloat, roundToOdd } from './minifloat.ts'

const table = {
  F64: { bits: 64, kind: 'float' },
  F32: { bits: 32, kind: 'float' },
  F16: { bits: 16, kind: 'float' },
  BF16: { bits: 16, kind: 'float' },
  F8_E4M3: { bits: 8, kind: 'float' },
  F8_E5M2: { bits: 8, kind: 'float' },
  F8_E4M3FNUZ: { bits: 8, kind: 'float' },
  F8_E5M2FNUZ: { bits: 8, kind: 'float' },
  F8_E8M0: { bits: 8, kind: 'float' },
  F6_E2M3: { bits: 6, kind: 'packed' },
  F6_E3M2: { bits: 6, kind: 'packed' },
  F4: { bits: 4, kind: 'packed' },
  C64: { bits: 64, kind: 'complex' },
  I64: { bits: 64, kind: 'integer' },
  I32: { bits: 32, kind: 'integer' },
  I16: { bits: 16, kind: 'integer' },
  I8: { bits: 8, kind: 'integer' },
  U64: { bits: 64, kind: 'integer' },
  U32: { bits: 32, kind: 'integer' },
  U16: { bits: 16, kind: 'integer' },
  U8: { bits: 8, kind: 'integer' },
  BOOL: { bits: 8, kind: 'boolean' },
} as const

export type Dtype = keyof typeof table

export interface DtypeInfo {
  /** Bits of one element; `packed` types share bytes among elements. */
  bits: number
  kind: 'float' | 'packed' | 'complex' | 'integer' | 'boolean'
}

/** All dtypes of the format, by name. */
export const dtypes: Readonly<Record<Dtype, DtypeInfo>> = table

export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(table, name)
}

/** Bytes of a tensor, or undefined if its elements do not fill whole bytes or their number is not a safe integer. */
export function tensorBytes(dtype: Dtype, shape: readonly number[]): number | undefined {
  const count = elementCount(shape)
  if (count === undefined) return undefined
  const bits = count * table[dtype].bits
  return Number.isSafeInteger(bits) && bits % 8 === 0 ? bits / 8 : undefined
}

/** The product of the dimensions, or undefined if it is not a safe integer. An empty shape is one scalar. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1
  for (const size of shape) {
    count *= size
    if (!Number.isSafeInteger(count) || count < 0) return undefined
  }
  return count
}

function unsupported(dtype: Dtype, what: string): InputError {
  return new InputError('DTYPE_UNSUPPORTED', `Tensors of dtype ${dtype} cannot be ${what}`, {
    help: 'convert the tensor to F32, F16 or BF16 first',
    data: { dtype },
  })
}

interface View<T> {
  new (buffer: ArrayBufferLike, offset: number, length: number): T
  readonly BYTES_PER_ELEMENT: number
}

/** A typed array over `bytes`; unaligned bytes are copied. */
function view<T>(Type: View<T>, bytes: Uint8Array): T {
  const size = Type.BYTES_PER_ELEMENT
  if (bytes.length % size !== 0)
    throw new RangeError(`${bytes.length} bytes do not hold whole elements of ${size} bytes`)
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  return new Type(aligned.buffer, aligned.byteOffset, aligned.length / size)
}

type Integers = Int32Array | Int16Array | Int8Array | Uint32Array | Uint16Array | Uint8Array

const integerViews: Partial<Record<Dtype, View<Integers>>> = {
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
}

/** Elements of an integer or boolean tensor into `target`; 64-bit integers beyond 2^53 are rounded. */
function decodeIntegers(bytes: Uint8Array, dtype: Dtype, target: Float32Array | Float64Array): void {
  if (dtype === 'I64' || dtype === 'U64') {
    const low = view(Uint32Array, bytes)
    const high = dtype === 'I64' ? view(Int32Array, bytes) : low
    for (let i = 0; i < low.length / 2; i++) target[i] = high[2 * i + 1]! * 4294967296 + low[2 * i]!
    return
  }
  target.set(view(integerViews[dtype]!, bytes))
}

function codesOf(bytes: Uint8Array, dtype: Dtype): Uint16Array | Uint8Array {
  return table[dtype].bits === 16 ? view(Uint16Array, bytes) : bytes
}

function lengthOf(bytes: Uint8Array, dtype: Dtype): number {
  return (bytes.length * 8) / table[dtype].bits
}

/**
 * Converts the little-endian elements of a tensor to float32. Exact for every float type but F64, which is rounded to nearest even.
 * Without a `target`, F32 bytes that are aligned are viewed, not copied: do not write to the result.
 *
 * Throws InputError `DTYPE_UNSUPPORTED` for complex and packed types.
 */
export function toFloat32(bytes: Uint8Array, dtype: Dtype, target?: Float32Array): Float32Array {
  const { kind } = table[dtype]
  if (kind === 'complex' || kind === 'packed') throw unsupported(dtype, 'read as real numbers')
  if (dtype === 'F32') {
    const values = view(Float32Array, bytes)
    if (!target) return values
    target.set(values)
    return target
  }
  target ??= new Float32Array(lengthOf(bytes, dtype))
  if (dtype === 'F64') target.set(view(Float64Array, bytes))
  else if (kind === 'float') decodeMinifloat(codesOf(bytes, dtype), dtype as Minifloat, target)
  else decodeIntegers(bytes, dtype, target)
  return target
}

/** As `toFloat32`, to float64; exact but for 64-bit integers beyond 2^53. */
export function toFloat64(bytes: Uint8Array, dtype: Dtype, target?: Float64Array): Float64Array {
  if (dtype === 'F64') {
    const values = view(Float64Array, bytes)
    if (!target) return values
    target.set(values)
    return target
  }
  target ??= new Float64Array(lengthOf(bytes, dtype))
  if (table[dtype].kind === 'float') target.set(toFloat32(bytes, dtype))
  else if (table[dtype].kind === 'complex' || table[dtype].kind === 'packed')
    throw unsupported(dtype, 'read as real numbers')
  else decodeIntegers(bytes, dtype, target)
  return target
}

const integerRanges: Partial<Record<Dtype, readonly [number, number]>> = {
  I64: [-(2 ** 63), 2 ** 63 - 1024],
  U64: [0, 2 ** 64 - 2048],
  I32: [-(2 ** 31), 2 ** 31 - 1],
  U32: [0, 2 ** 32 - 1],
  I16: [-32768, 32767],
  U16: [0, 65535],
  I8: [-128, 127],
  U8: [0, 255],
}

function nearestEven(value: number): number {
  const rounded = Math.round(value)
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

function encodeIntegers(values: Float32Array | Float64Array, dtype: Dtype, target: Uint8Array): void {
  if (dtype === 'BOOL') {
    for (let i = 0; i < values.length; i++) target[i] = values[i] === 0 ? 0 : 1
    return
  }
  const [least, most] = integerRanges[dtype]!
  const wide = dtype === 'I64' || dtype === 'U64'
  const out = wide ? view(Uint32Array, target) : view(integerViews[dtype]!, target)
  for (let i = 0; i < values.length; i++) {
    const value = nearestEven(values[i]!)
    if (!(value >= least && value <= most))
      throw new InputError(
        'VALUE_RANGE',
        `Expected numbers from ${least} to ${most} for ${dtype}, received ${values[i]}`,
        {
          help: 'write the tensor as F32, or scale it first',
          data: { dtype, index: i, value: values[i]! },
        },
      )
    if (!wide) out[i] = value
    else {
      const high = Math.floor(value / 4294967296)
      out[2 * i] = value - high * 4294967296
      out[2 * i + 1] = high
    }
  }
}

/** The bytes to fill and, if those are unaligned, a step that copies the result there. */
function output(
  count: number,
  dtype: Dtype,
  target: Uint8Array | undefined,
): { bytes: Uint8Array; done: () => Uint8Array } {
  const size = table[dtype].bits / 8
  if (!target) target = new Uint8Array(count * size)
  if (target.length !== count * size)
    throw new RangeError(`Expected a target of ${count * size} bytes, received ${target.length}`)
  if (target.byteOffset % size === 0) return { bytes: target, done: () => target }
  const bytes = new Uint8Array(target.length)
  return {
    bytes,
    done: () => {
      target.set(bytes)
      return target
    },
  }
}

const blockLength = 16384

/**
 * Converts float32 values to the little-endian bytes of a dtype, rounding once, to nearest even. Too large for F16, BF16 and F8_E5M2
 * gives infinity; for F8_E4M3 its largest value, 448; for the FNUZ types NaN.
 *
 * Throws InputError `VALUE_RANGE` for NaN and out-of-range values of an integer type, `DTYPE_UNSUPPORTED` for complex, packed and E8M0.
 */
export function fromFloat32(values: Float32Array, dtype: Dtype, target?: Uint8Array): Uint8Array {
  const { kind } = table[dtype]
  if (kind === 'complex' || kind === 'packed' || dtype === 'F8_E8M0')
    throw unsupported(dtype, 'written from real numbers')
  const { bytes, done } = output(values.length, dtype, target)
  if (dtype === 'F32') bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  else if (dtype === 'F64') view(Float64Array, bytes).set(values)
  else if (kind !== 'float') encodeIntegers(values, dtype, bytes)
  else {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
    encodeMinifloat(bits, dtype as Exclude<Minifloat, 'F8_E8M0'>, codesOf(bytes, dtype))
  }
  return done()
}

/** As `fromFloat32`, from float64: also rounded once, not first to float32. */
export function fromFloat64(values: Float64Array, dtype: Dtype, target?: Uint8Array): Uint8Array {
  const { kind } = table[dtype]
  if (kind === 'complex' || kind === 'packed' || dtype === 'F8_E8M0')
    throw unsupported(dtype, 'written from real numbers')
  const { bytes, done } = output(values.length, dtype, target)
  if (dtype === 'F64') bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  else if (dtype === 'F32') view(Float32Array, bytes).set(values)
  else if (kind !== 'float') encodeIntegers(values, dtype, bytes)
  else {
    const codes = codesOf(bytes, dtype)
    const block = new Float32Array(Math.min(blockLength, values.length))
    for (let start = 0; start < values.length; start += blockLength) {
      const end = Math.min(start + blockLength, values.length)
      const floats = block.subarray(0, end - start)
      roundToOdd(values.subarray(start, end), floats)
      const bits = new Uint32Array(floats.buffer, 0, floats.length)
      encodeMinifloat(bits, dtype as Exclude<Minifloat, 'F8_E8M0'>, codes.subarray(start, end))
    }
  }
  return done()
}
