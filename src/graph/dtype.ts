/** Element types of graph tensors, their ONNX numbers and the typed arrays that hold them on the host. */

export type Dtype = 'float32' | 'float64' | 'int32' | 'int64' | 'uint8' | 'bool'
export type HostArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array

/** TensorProto.DataType */
export const onnxDtype: Record<Dtype, number> = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float64: 11 }

export function isFloat(dtype: Dtype): boolean {
  return dtype === 'float32' || dtype === 'float64'
}

/** A zeroed array of `length` elements; booleans are bytes 0 and 1. */
export function hostArray(dtype: Dtype, length: number): HostArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(length)
    case 'float64':
      return new Float64Array(length)
    case 'int32':
      return new Int32Array(length)
    case 'int64':
      return new BigInt64Array(length)
    default:
      return new Uint8Array(length)
  }
}

/** Plain numbers as an array of the given type. */
export function hostArrayFrom(dtype: Dtype, values: ArrayLike<number>): HostArray {
  const out = hostArray(dtype, values.length)
  if (out instanceof BigInt64Array) for (let i = 0; i < values.length; i++) out[i] = BigInt(values[i]!)
  else out.set(values)
  return out
}

/** The bytes of a host array, in little-endian order as ONNX stores them. */
export function bytesOf(array: HostArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
