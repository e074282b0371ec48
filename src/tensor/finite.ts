/** Looks for NaN and infinity in the raw bytes of a tensor: a float is one of them if its exponent bits are all set. */
import { type Dtype, dtypes } from './dtypes.ts'

/** The exponent bits of the last 8, 16 or 32 bits of an element. */
const exponentMasks: Partial<Record<Dtype, number>> = {
  F64: 0x7ff00000,
  F32: 0x7f800000,
  C64: 0x7f800000,
  F16: 0x7c00,
  BF16: 0x7f80,
  F8_E5M2: 0x7c,
  F8_E4M3: 0x7f, // only the pattern of all ones is NaN
}

/** The index of the first NaN or infinity among the elements in `bytes` (a whole number of them), or -1. Types without such values give -1. */
export function findNonFinite(bytes: Uint8Array, dtype: Dtype): number {
  if (dtype === 'F8_E8M0') return bytes.indexOf(0xff)
  if (dtype === 'F8_E4M3FNUZ' || dtype === 'F8_E5M2FNUZ') return bytes.indexOf(0x80)
  const mask = exponentMasks[dtype]
  if (mask === undefined) return -1
  const size = Math.min(4, dtypes[dtype].bits / 8)
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  const length = aligned.length / size
  const words =
    size === 4
      ? new Uint32Array(aligned.buffer, aligned.byteOffset, length)
      : size === 2
        ? new Uint16Array(aligned.buffer, aligned.byteOffset, length)
        : aligned
  const stride = dtype === 'F64' ? 2 : 1
  for (let i = stride - 1; i < words.length; i += stride) {
    if ((words[i]! & mask) === mask) return dtype === 'F64' || dtype === 'C64' ? i >> 1 : i
  }
  return -1
}
