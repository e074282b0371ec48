/**
 * Floats of 8 and 16 bits: IEEE half (F16), bfloat16, and the 8-bit formats of "FP8 Formats for Deep Learning" (Micikevicius et al.,
 * 2022) with their FNUZ variants and the OCP scale format E8M0. Decoding is a table or a shift; encoding rounds once, to nearest even.
 */

export type Minifloat = 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2' | 'F8_E4M3FNUZ' | 'F8_E5M2FNUZ' | 'F8_E8M0'

interface Layout {
  mantissa: number
  bias: number
  /** The code of the largest finite magnitude; rounding beyond it gives `overflow`. */
  largest: number
  /** What larger magnitudes become: infinity, NaN, or (F8_E4M3, as in the OCP standard's saturating mode) the largest itself. */
  overflow: number
  nan: number
  sign: number
  /** FNUZ formats: one zero, one NaN, and the NaN is the code of -0. */
  unsignedZero?: boolean
}

const layouts: Record<Exclude<Minifloat, 'F8_E8M0'>, Layout> = {
  F16: { mantissa: 10, bias: 15, largest: 0x7bff, overflow: 0x7c00, nan: 0x7e00, sign: 0x8000 },
  BF16: { mantissa: 7, bias: 127, largest: 0x7f7f, overflow: 0x7f80, nan: 0x7fc0, sign: 0x8000 },
  F8_E4M3: { mantissa: 3, bias: 7, largest: 0x7e, overflow: 0x7e, nan: 0x7f, sign: 0x80 },
  F8_E5M2: { mantissa: 2, bias: 15, largest: 0x7b, overflow: 0x7c, nan: 0x7f, sign: 0x80 },
  F8_E4M3FNUZ: { mantissa: 3, bias: 8, largest: 0x7f, overflow: 0x80, nan: 0x80, sign: 0x80, unsignedZero: true },
  F8_E5M2FNUZ: { mantissa: 2, bias: 16, largest: 0x7f, overflow: 0x80, nan: 0x80, sign: 0x80, unsignedZero: true },
}

/** The value of one code. */
function decodeOne(code: number, format: Minifloat): number {
  if (format === 'F8_E8M0') return code === 0xff ? Number.NaN : 2 ** (code - 127)
  const { mantissa, bias, largest, overflow, nan, sign, unsignedZero } = layouts[format]
  if (unsignedZero && code === nan) return Number.NaN
  const magnitude = code & (sign - 1)
  const direction = code & sign ? -1 : 1
  if (magnitude > largest)
    return magnitude === overflow && overflow !== nan ? direction * Number.POSITIVE_INFINITY : Number.NaN
  const exponent = magnitude >> mantissa
  const fraction = magnitude & ((1 << mantissa) - 1)
  const unit = 2 ** (Math.max(exponent, 1) - bias - mantissa)
  return direction * unit * (exponent === 0 ? fraction : fraction + (1 << mantissa))
}

const tables = new Map<Minifloat, Float32Array>()

/** The float32 value of every code, computed once for each format. */
function tableOf(format: Minifloat, bits: number): Float32Array {
  let table = tables.get(format)
  if (!table)
    tables.set(format, (table = Float32Array.from({ length: 2 ** bits }, (_, code) => decodeOne(code, format))))
  return table
}

/** Decodes `codes` to float32; exact for every format. */
export function decodeMinifloat(codes: Uint16Array | Uint8Array, format: Minifloat, target: Float32Array): void {
  const n = codes.length
  if (format === 'BF16') {
    const bits = new Uint32Array(target.buffer, target.byteOffset, n)
    for (let i = 0; i < n; i++) bits[i] = codes[i]! << 16
    return
  }
  const table = tableOf(format, codes.BYTES_PER_ELEMENT * 8)
  for (let i = 0; i < n; i++) target[i] = table[codes[i]!]!
}

/**
 * Encodes float32 bit patterns, rounding to nearest even. NaN stays NaN; magnitudes beyond the largest finite one become what current
 * PyTorch makes of them: infinity, NaN in the FNUZ formats, the largest value in F8_E4M3.
 */
export function encodeMinifloat(
  bits: Uint32Array,
  format: Exclude<Minifloat, 'F8_E8M0'>,
  target: Uint16Array | Uint8Array,
): void {
  const n = bits.length
  if (format === 'BF16') {
    for (let i = 0; i < n; i++) {
      const word = bits[i]!
      target[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
    }
    return
  }
  const { mantissa, bias, largest, overflow, nan, sign, unsignedZero } = layouts[format]
  const shift = 23 - mantissa
  const half = (1 << (shift - 1)) - 1
  const rebias = (127 - bias) << mantissa
  const smallestNormal = (128 - bias) << 23
  const signShift = sign === 0x8000 ? 16 : 24
  for (let i = 0; i < n; i++) {
    const word = bits[i]!
    const magnitude = word & 0x7fffffff
    const negative = (word >>> signShift) & sign
    let code: number
    if (magnitude > 0x7f800000) code = nan
    else if (magnitude >= smallestNormal) {
      code = ((magnitude + half + ((magnitude >>> shift) & 1)) >>> shift) - rebias
      if (code > largest) code = overflow
    } else {
      const drop = shift + 128 - bias - (magnitude >>> 23) // bits below the unit of the format's subnormals
      if (drop > 24) code = 0
      else {
        const full = (magnitude & 0x7fffff) | 0x800000
        const rest = full & ((1 << drop) - 1)
        code = full >>> drop
        if (rest > 1 << (drop - 1) || (rest === 1 << (drop - 1) && code & 1)) code++
      }
    }
    target[i] = unsignedZero && (code === 0 || code === nan) ? code : code | negative
  }
}

/**
 * Writes the float32 bit patterns of `values`, rounded to odd: toward zero with the last bit set if anything was cut off. Rounding such
 * a float32 again, to a shorter format, gives what rounding the float64 directly would (Boldo and Melquiond, 2008).
 */
export function roundToOdd(values: Float64Array, target: Float32Array): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    const rounded = Math.fround(value)
    target[i] = rounded
    if (rounded === value || Number.isNaN(value)) continue
    if (Math.abs(rounded) > Math.abs(value)) bits[i]!--
    bits[i]! |= 1
  }
}
