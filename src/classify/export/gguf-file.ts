/** The GGUF container, version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): typed keys, then tensors on 32-byte borders. */
import { InputError } from '../../util/errors.ts'

export type GgufValue =
  | { u32: number }
  | { f32: number }
  | { bool: boolean }
  | { string: string }
  | { strings: readonly string[] }
  | { i32s: readonly number[] }

export interface GgufTensor {
  name: string
  /** Row-major, outermost first. */
  shape: readonly number[]
  type: 'F32' | 'F16'
  /** float32 values, or the bits of float16. */
  data: Float32Array | Uint16Array
}

const magic = 0x46554747
const alignment = 32
const types = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 }
const tensorTypes = { F32: 0, F16: 1 } as const
const utf8 = new TextEncoder()

class Bytes {
  readonly parts: Uint8Array[] = []
  length = 0

  add(bytes: Uint8Array): this {
    this.parts.push(bytes)
    this.length += bytes.length
    return this
  }

  number(size: 1 | 4 | 8, write: (view: DataView) => void): this {
    const view = new DataView(new ArrayBuffer(size))
    write(view)
    return this.add(new Uint8Array(view.buffer))
  }

  u32 = (value: number) => this.number(4, (view) => view.setUint32(0, value, true))
  u64 = (value: number) => this.number(8, (view) => view.setBigUint64(0, BigInt(value), true))

  string(text: string): this {
    const bytes = utf8.encode(text)
    return this.u64(bytes.length).add(bytes)
  }

  value(value: GgufValue): this {
    if ('u32' in value) return this.u32(types.u32).u32(value.u32)
    if ('f32' in value) return this.u32(types.f32).number(4, (view) => view.setFloat32(0, value.f32, true))
    if ('bool' in value) return this.u32(types.bool).number(1, (view) => view.setUint8(0, value.bool ? 1 : 0))
    if ('string' in value) return this.u32(types.string).string(value.string)
    if ('strings' in value) {
      this.u32(types.array).u32(types.string).u64(value.strings.length)
      for (const text of value.strings) this.string(text)
      return this
    }
    this.u32(types.array).u32(types.i32).u64(value.i32s.length)
    for (const number of value.i32s) this.number(4, (view) => view.setInt32(0, number, true))
    return this
  }

  pad(): this {
    return this.add(new Uint8Array((alignment - (this.length % alignment)) % alignment))
  }
}

/** The parts of a GGUF file, to be written one after another. */
export function encodeGguf(values: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): Uint8Array[] {
  const head = new Bytes().u32(magic).u32(3).u64(tensors.length).u64(values.size)
  for (const [key, value] of values) head.string(key).value(value)
  const body = new Bytes()
  for (const { name, shape, type, data } of tensors) {
    head.string(name).u32(shape.length)
    for (const size of [...shape].reverse()) head.u64(size)
    head.u32(tensorTypes[type]).u64(body.length)
    body.add(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).pad()
  }
  head.pad()
  return [...head.parts, ...body.parts]
}

/** Reads the tensors of a file that `encodeGguf` wrote. @throws InputError `GGUF_MALFORMED` */
export function readGgufTensors(bytes: Uint8Array<ArrayBuffer>): GgufTensor[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const step = (size: number) => {
    at += size
    return at - size
  }
  const u32 = () => view.getUint32(step(4), true)
  const u64 = () => Number(view.getBigUint64(step(8), true))
  const string = () => {
    const length = u64()
    at += length
    return new TextDecoder().decode(bytes.subarray(at - length, at))
  }
  const skip = (type: number): void => {
    if (type === types.string) string()
    else if (type === types.array) {
      const inner = u32()
      for (let count = u64(); count > 0; count--) skip(inner)
    } else at += type === types.bool ? 1 : 4
  }
  if (u32() !== magic || u32() !== 3) throw new InputError('GGUF_MALFORMED', 'Expected a GGUF file of version 3')
  const tensorCount = u64()
  for (let count = u64(); count > 0; count--) {
    string()
    skip(u32())
  }
  const infos = Array.from({ length: tensorCount }, () => {
    const name = string()
    const shape = Array.from({ length: u32() }, u64).reverse()
    return { name, shape, type: u32() === tensorTypes.F32 ? ('F32' as const) : ('F16' as const), offset: u64() }
  })
  const start = Math.ceil(at / alignment) * alignment
  return infos.map(({ offset, ...info }) => {
    const count = info.shape.reduce((product, size) => product * size, 1)
    const own = bytes.slice(start + offset, start + offset + count * (info.type === 'F32' ? 4 : 2)).buffer
    return { ...info, data: info.type === 'F32' ? new Float32Array(own) : new Uint16Array(own) }
  })
}
