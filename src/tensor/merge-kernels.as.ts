// Block kernels for merging: elements of any float type to f64 and back, sums, dot products, counting for exact selection, sign election,
// random masks. Addresses are in bytes; n counts elements and may be any number. Arithmetic is f64, rounded once when encoded.

// @ts-ignore: decorator
@inline
function bf16Low(address: usize): v128 {
  return i32x4.shl(i32x4.extend_low_i16x8_u(v128.load64_zero(address)), 16)
}

// @ts-ignore: decorator
@inline
function f16Low(address: usize): v128 {
  const code = i32x4.extend_low_i16x8_u(v128.load64_zero(address))
  const magnitude = v128.and(code, i32x4.splat(0x7fff))
  const sign = i32x4.shl(v128.and(code, i32x4.splat(0x8000)), 16)
  const finite = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(reinterpret<f32>(0x77800000))) // times 2^112
  const special = v128.or(i32x4.splat(0x7f800000), i32x4.shl(magnitude, 13))
  return v128.or(sign, v128.bitselect(special, finite, i32x4.ge_s(magnitude, i32x4.splat(0x7c00))))
}

// @ts-ignore: decorator
@inline
function storeWide(target: usize, floats: v128): void {
  v128.store(target, f64x2.promote_low_f32x4(floats))
  v128.store(target, f64x2.promote_low_f32x4(v128.shuffle<i64>(floats, floats, 1, 1)), 16)
}

// @ts-ignore: decorator
@inline
function bf16One(address: usize): f64 {
  return <f64>reinterpret<f32>(<u32>load<u16>(address) << 16)
}

// @ts-ignore: decorator
@inline
function f16One(address: usize): f64 {
  const code = <u32>load<u16>(address)
  const magnitude = code & 0x7fff
  const bits = magnitude >= 0x7c00 ? 0x7f800000 | (magnitude << 13) : reinterpret<u32>(reinterpret<f32>(magnitude << 13) * reinterpret<f32>(0x77800000))
  return <f64>reinterpret<f32>(((code & 0x8000) << 16) | bits)
}

export function decodeF32(source: usize, target: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  for (; i < whole; i += 4) storeWide(target + (i << 3), v128.load(source + (i << 2)))
  for (; i < <usize>n; i++) store<f64>(target + (i << 3), <f64>load<f32>(source + (i << 2)))
}

export function decodeBF16(source: usize, target: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  for (; i < whole; i += 4) storeWide(target + (i << 3), bf16Low(source + (i << 1)))
  for (; i < <usize>n; i++) store<f64>(target + (i << 3), bf16One(source + (i << 1)))
}

export function decodeF16(source: usize, target: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  for (; i < whole; i += 4) storeWide(target + (i << 3), f16Low(source + (i << 1)))
  for (; i < <usize>n; i++) store<f64>(target + (i << 3), f16One(source + (i << 1)))
}

/** The two doubles as floats rounded to odd, in the low lanes: rounding them again to a shorter type rounds once in effect. */
// @ts-ignore: decorator
@inline
function roundToOdd(x: v128): v128 {
  const rounded = f32x4.demote_f64x2_zero(x)
  const back = f64x2.promote_low_f32x4(rounded)
  const inexact = f64x2.ne(back, x)
  const over = f64x2.gt(f64x2.abs(back), f64x2.abs(x))
  const bits = i32x4.add(rounded, v128.shuffle<i32>(over, over, 0, 2, 0, 2)) // a true lane is -1
  return v128.or(bits, v128.and(v128.shuffle<i32>(inexact, inexact, 0, 2, 0, 2), i32x4.splat(1)))
}

// @ts-ignore: decorator
@inline
function oddFour(source: usize): v128 {
  return v128.shuffle<i64>(roundToOdd(v128.load(source)), roundToOdd(v128.load(source, 16)), 0, 2)
}

// @ts-ignore: decorator
@inline
function toBF16(bits: v128): v128 {
  const even = v128.and(i32x4.shr_u(bits, 16), i32x4.splat(1))
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(bits, i32x4.splat(0x7fff)), even), 16)
  const nan = i32x4.gt_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(0x7f800000))
  return v128.bitselect(v128.or(i32x4.shr_u(bits, 16), i32x4.splat(0x40)), rounded, nan)
}

// @ts-ignore: decorator
@inline
function toF16(bits: v128): v128 {
  const sign = v128.and(i32x4.shr_u(bits, 16), i32x4.splat(0x8000))
  const magnitude = v128.and(bits, i32x4.splat(0x7fffffff))
  const even = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1))
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff - (112 << 23))), even), 13)
  const unit = i32x4.splat(126 << 23) // 0.5: the last bit of its floats is the unit of subnormal halves
  const subnormal = i32x4.sub(f32x4.add(magnitude, unit), unit)
  const finite = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(113 << 23)))
  const infinite = v128.bitselect(i32x4.splat(0x7e00), i32x4.splat(0x7c00), i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)))
  return v128.or(sign, v128.bitselect(infinite, finite, i32x4.ge_s(magnitude, i32x4.splat(0x47800000))))
}

export function encodeF32(source: usize, target: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  for (; i < whole; i += 4) {
    const at = source + (i << 3)
    const low = f32x4.demote_f64x2_zero(v128.load(at))
    const high = f32x4.demote_f64x2_zero(v128.load(at, 16))
    v128.store(target + (i << 2), v128.shuffle<i64>(low, high, 0, 2))
  }
  for (; i < <usize>n; i++) store<f32>(target + (i << 2), <f32>load<f64>(source + (i << 3)))
}

export function encodeBF16(source: usize, target: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  for (; i < whole; i += 4) {
    const codes = toBF16(oddFour(source + (i << 3)))
    v128.store64_lane(target + (i << 1), i16x8.narrow_i32x4_u(codes, codes), 0)
  }
  for (; i < <usize>n; i++)
    store<u16>(target + (i << 1), <u16>i32x4.extract_lane(toBF16(roundToOdd(v128.load64_zero(source + (i << 3)))), 0))
}

export function encodeF16(source: usize, target: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  for (; i < whole; i += 4) {
    const codes = toF16(oddFour(source + (i << 3)))
    v128.store64_lane(target + (i << 1), i16x8.narrow_i32x4_u(codes, codes), 0)
  }
  for (; i < <usize>n; i++)
    store<u16>(target + (i << 1), <u16>i32x4.extract_lane(toF16(roundToOdd(v128.load64_zero(source + (i << 3)))), 0))
}

/** sum += w * x */
export function addScaled(sum: usize, x: usize, w: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~1)
  const ws = f64x2.splat(w)
  for (; i < whole; i += 2) {
    const at = i << 3
    v128.store(sum + at, f64x2.add(v128.load(sum + at), f64x2.mul(ws, v128.load(x + at))))
  }
  for (; i < <usize>n; i++) store<f64>(sum + (i << 3), load<f64>(sum + (i << 3)) + w * load<f64>(x + (i << 3)))
}

// @ts-ignore: decorator
@inline
function addScaledFour(sum: usize, floats: v128, ws: v128): void {
  v128.store(sum, f64x2.add(v128.load(sum), f64x2.mul(ws, f64x2.promote_low_f32x4(floats))))
  const high = f64x2.promote_low_f32x4(v128.shuffle<i64>(floats, floats, 1, 1))
  v128.store(sum, f64x2.add(v128.load(sum, 16), f64x2.mul(ws, high)), 16)
}

/** sum += w * x, straight from stored elements. */
export function addScaledF32(sum: usize, x: usize, w: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const ws = f64x2.splat(w)
  for (; i < whole; i += 4) addScaledFour(sum + (i << 3), v128.load(x + (i << 2)), ws)
  for (; i < <usize>n; i++) store<f64>(sum + (i << 3), load<f64>(sum + (i << 3)) + w * <f64>load<f32>(x + (i << 2)))
}

export function addScaledBF16(sum: usize, x: usize, w: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const ws = f64x2.splat(w)
  for (; i < whole; i += 4) addScaledFour(sum + (i << 3), bf16Low(x + (i << 1)), ws)
  for (; i < <usize>n; i++) store<f64>(sum + (i << 3), load<f64>(sum + (i << 3)) + w * bf16One(x + (i << 1)))
}

export function addScaledF16(sum: usize, x: usize, w: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const ws = f64x2.splat(w)
  for (; i < whole; i += 4) addScaledFour(sum + (i << 3), f16Low(x + (i << 1)), ws)
  for (; i < <usize>n; i++) store<f64>(sum + (i << 3), load<f64>(sum + (i << 3)) + w * f16One(x + (i << 1)))
}

/** target = a - b */
export function subtract(target: usize, a: usize, b: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~1)
  for (; i < whole; i += 2) {
    const at = i << 3
    v128.store(target + at, f64x2.sub(v128.load(a + at), v128.load(b + at)))
  }
  for (; i < <usize>n; i++) store<f64>(target + (i << 3), load<f64>(a + (i << 3)) - load<f64>(b + (i << 3)))
}

/** x *= w */
export function scale(x: usize, w: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~1)
  const ws = f64x2.splat(w)
  for (; i < whole; i += 2) v128.store(x + (i << 3), f64x2.mul(v128.load(x + (i << 3)), ws))
  for (; i < <usize>n; i++) store<f64>(x + (i << 3), load<f64>(x + (i << 3)) * w)
}

/** The index of the first element that is NaN or infinite, or -1. */
export function findNonFinite(x: usize, n: i32): i32 {
  let i: usize = 0
  const whole = <usize>(n & ~1)
  let bad = i64x2.splat(0)
  for (; i < whole; i += 2) {
    const zero = f64x2.mul(v128.load(x + (i << 3)), f64x2.splat(0)) // NaN unless finite
    bad = v128.or(bad, f64x2.ne(zero, zero))
  }
  if (!v128.any_true(bad)) i = whole
  else i = 0
  for (; i < <usize>n; i++) {
    const zero = load<f64>(x + (i << 3)) * 0
    if (zero != zero) return <i32>i
  }
  return -1
}

/** The index of the first stored 16-bit element whose bits in `exponent` are all set (NaN or infinite), or -1. */
export function findSpecial16(x: usize, exponent: u32, n: i32): i32 {
  let i: usize = 0
  const whole = <usize>(n & ~7)
  const mask = i16x8.splat(<i16>exponent)
  let bad = i64x2.splat(0)
  for (; i < whole; i += 8) bad = v128.or(bad, i16x8.eq(v128.and(v128.load(x + (i << 1)), mask), mask))
  if (v128.any_true(bad)) i = 0
  for (; i < <usize>n; i++) if ((<u32>load<u16>(x + (i << 1)) & exponent) == exponent) return <i32>i
  return -1
}

/** As `findSpecial16`, for stored 32-bit elements. */
export function findSpecial32(x: usize, exponent: u32, n: i32): i32 {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const mask = i32x4.splat(exponent)
  let bad = i64x2.splat(0)
  for (; i < whole; i += 4) bad = v128.or(bad, i32x4.eq(v128.and(v128.load(x + (i << 2)), mask), mask))
  if (v128.any_true(bad)) i = 0
  for (; i < <usize>n; i++) if ((load<u32>(x + (i << 2)) & exponent) == exponent) return <i32>i
  return -1
}

/** The dot product. Sums run in eight lanes, so equal blocks give equal sums. */
export function dot(a: usize, b: usize, n: i32): f64 {
  let s0 = f64x2.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  let i: usize = 0
  const whole = <usize>(n & ~7)
  for (; i < whole; i += 8) {
    const at = i << 3
    s0 = f64x2.add(s0, f64x2.mul(v128.load(a + at), v128.load(b + at)))
    s1 = f64x2.add(s1, f64x2.mul(v128.load(a + at, 16), v128.load(b + at, 16)))
    s2 = f64x2.add(s2, f64x2.mul(v128.load(a + at, 32), v128.load(b + at, 32)))
    s3 = f64x2.add(s3, f64x2.mul(v128.load(a + at, 48), v128.load(b + at, 48)))
  }
  const s = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3))
  let sum = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1)
  for (; i < <usize>n; i++) sum += load<f64>(a + (i << 3)) * load<f64>(b + (i << 3))
  return sum
}

/** The sum of magnitudes, in eight lanes. */
export function sumMagnitudes(x: usize, n: i32): f64 {
  let s0 = f64x2.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  let i: usize = 0
  const whole = <usize>(n & ~7)
  for (; i < whole; i += 8) {
    const at = x + (i << 3)
    s0 = f64x2.add(s0, f64x2.abs(v128.load(at)))
    s1 = f64x2.add(s1, f64x2.abs(v128.load(at, 16)))
    s2 = f64x2.add(s2, f64x2.abs(v128.load(at, 32)))
    s3 = f64x2.add(s3, f64x2.abs(v128.load(at, 48)))
  }
  const s = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3))
  let sum = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1)
  for (; i < <usize>n; i++) sum += abs(load<f64>(x + (i << 3)))
  return sum
}

/** The magnitude as a float's bits: the order of the bits is the order of the magnitudes. */
// @ts-ignore: decorator
@inline
function magnitudeBits(x: usize): u32 {
  return reinterpret<u32>(<f32>load<f64>(x)) & 0x7fffffff
}

/** The bits of four magnitudes. */
// @ts-ignore: decorator
@inline
function magnitudeBitsFour(x: usize): v128 {
  const low = f32x4.demote_f64x2_zero(v128.load(x))
  const high = f32x4.demote_f64x2_zero(v128.load(x, 16))
  return v128.and(v128.shuffle<i64>(low, high, 0, 2), i32x4.splat(0x7fffffff))
}

// @ts-ignore: decorator
@inline
function increment(counters: usize, index: u32): void {
  const at = counters + (<usize>index << 2)
  store<u32>(at, load<u32>(at) + 1)
}

/** Counts magnitudes by the high half of their bits, into 32,768 counters. */
export function countHigh(x: usize, counters: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  for (; i < whole; i += 4) {
    const halves = i32x4.shr_u(magnitudeBitsFour(x + (i << 3)), 16)
    increment(counters, i32x4.extract_lane(halves, 0))
    increment(counters, i32x4.extract_lane(halves, 1))
    increment(counters, i32x4.extract_lane(halves, 2))
    increment(counters, i32x4.extract_lane(halves, 3))
  }
  for (; i < <usize>n; i++) increment(counters, magnitudeBits(x + (i << 3)) >>> 16)
}

/** Counts the magnitudes whose bits have this high half by their low half, into 65,536 counters. */
export function countLow(x: usize, high: u32, counters: usize, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const wanted = i32x4.splat(high)
  for (; i < whole; i += 4) {
    const at = x + (i << 3)
    if (!v128.any_true(i32x4.eq(i32x4.shr_u(magnitudeBitsFour(at), 16), wanted))) continue
    for (let j: usize = 0; j < 32; j += 8) countOneLow(at + j, high, counters)
  }
  for (; i < <usize>n; i++) countOneLow(x + (i << 3), high, counters)
}

// @ts-ignore: decorator
@inline
function countOneLow(x: usize, high: u32, counters: usize): void {
  const bits = magnitudeBits(x)
  if (bits >>> 16 == high) increment(counters, bits & 0xffff)
}

/** A true lane for each of the first two lanes, as wide as a double; and of the last two. */
// @ts-ignore: decorator
@inline
function widenLow(lanes: v128): v128 {
  return i64x2.extend_low_i32x4_s(lanes)
}

// @ts-ignore: decorator
@inline
function widenHigh(lanes: v128): v128 {
  return i64x2.extend_high_i32x4_s(lanes)
}

// @ts-ignore: decorator
@inline
function keepFour(x: usize, kept: v128): void {
  v128.store(x, v128.and(v128.load(x), widenLow(kept)))
  v128.store(x, v128.and(v128.load(x, 16), widenHigh(kept)), 16)
}

/**
 * Zeroes the magnitudes below `threshold` (bits), and those equal to it after the first `quota`. Returns how much of the quota was used.
 */
export function keepLargest(x: usize, threshold: u32, quota: i32, n: i32): i32 {
  let used = 0
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const limit = i32x4.splat(threshold)
  for (; i < whole; i += 4) {
    const at = x + (i << 3)
    const bits = magnitudeBitsFour(at)
    if (!v128.any_true(i32x4.eq(bits, limit))) keepFour(at, i32x4.gt_u(bits, limit))
    else for (let j: usize = 0; j < 32; j += 8) used += keepOne(at + j, threshold, quota - used)
  }
  for (; i < <usize>n; i++) used += keepOne(x + (i << 3), threshold, quota - used)
  return used
}

// @ts-ignore: decorator
@inline
function keepOne(x: usize, threshold: u32, quota: i32): i32 {
  const bits = magnitudeBits(x)
  if (bits > threshold) return 0
  if (bits == threshold && quota > 0) return 1
  store<f64>(x, 0)
  return 0
}

/** Zeroes the magnitudes above `threshold` (bits), and the first `quota` of those equal to it. Returns how much of the quota was used. */
export function dropLargest(x: usize, threshold: u32, quota: i32, n: i32): i32 {
  let used = 0
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const limit = i32x4.splat(threshold)
  for (; i < whole; i += 4) {
    const at = x + (i << 3)
    const bits = magnitudeBitsFour(at)
    if (!v128.any_true(i32x4.eq(bits, limit))) keepFour(at, i32x4.lt_u(bits, limit))
    else for (let j: usize = 0; j < 32; j += 8) used += dropOne(at + j, threshold, quota - used)
  }
  for (; i < <usize>n; i++) used += dropOne(x + (i << 3), threshold, quota - used)
  return used
}

// @ts-ignore: decorator
@inline
function dropOne(x: usize, threshold: u32, quota: i32): i32 {
  const bits = magnitudeBits(x)
  if (bits < threshold || (bits == threshold && quota <= 0)) return 0
  store<f64>(x, 0)
  return bits == threshold ? 1 : 0
}

/** Where x is not zero and has the sign of `elected` (zero counts as positive): sum += x, weights += w. */
export function addAgreeing(sum: usize, weights: usize, elected: usize, x: usize, w: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~1)
  const zero = f64x2.splat(0)
  const ws = f64x2.splat(w)
  for (; i < whole; i += 2) {
    const at = i << 3
    const value = v128.load(x + at)
    const positive = f64x2.ge(v128.load(elected + at), zero)
    const agrees = v128.bitselect(f64x2.gt(value, zero), f64x2.lt(value, zero), positive)
    v128.store(sum + at, f64x2.add(v128.load(sum + at), v128.and(value, agrees)))
    v128.store(weights + at, f64x2.add(v128.load(weights + at), v128.and(ws, agrees)))
  }
  for (; i < <usize>n; i++) {
    const at = i << 3
    const value = load<f64>(x + at)
    if (load<f64>(elected + at) >= 0 ? value > 0 : value < 0) {
      store<f64>(sum + at, load<f64>(sum + at) + value)
      store<f64>(weights + at, load<f64>(weights + at) + w)
    }
  }
}

/** target = base + factor * sum / weights; where the weights are zero, base + factor * sum. */
export function addQuotient(target: usize, base: usize, sum: usize, weights: usize, factor: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~1)
  const factors = f64x2.splat(factor)
  const one = f64x2.splat(1)
  const zero = f64x2.splat(0)
  for (; i < whole; i += 2) {
    const at = i << 3
    const weight = v128.load(weights + at)
    const divisor = v128.bitselect(one, weight, f64x2.eq(weight, zero))
    const step = f64x2.div(f64x2.mul(factors, v128.load(sum + at)), divisor)
    v128.store(target + at, f64x2.add(v128.load(base + at), step))
  }
  for (; i < <usize>n; i++) {
    const at = i << 3
    const weight = load<f64>(weights + at)
    store<f64>(target + at, load<f64>(base + at) + (factor * load<f64>(sum + at)) / (weight == 0 ? 1 : weight))
  }
}

/**
 * Fills `target` with the 32-bit integers of a key (see `randomKey`) from index `first` on: Philox 4x32-10 (see random.ts), four blocks
 * side by side. `first` is a multiple of 4, n of 16.
 */
export function randomWords(target: usize, first: f64, c2: u32, c3: u32, k0: u32, k1: u32, n: i32): void {
  let block = <u64>(first / 4)
  const factor0 = i32x4.splat(0xd2511f53)
  const factor1 = i32x4.splat(0xcd9e8d57)
  const end = target + (<usize>n << 2)
  for (; target < end; target += 64) {
    let a = i32x4(<i32>block, <i32>(block + 1), <i32>(block + 2), <i32>(block + 3))
    let b = i32x4(<i32>(block >> 32), <i32>((block + 1) >> 32), <i32>((block + 2) >> 32), <i32>((block + 3) >> 32))
    let c = i32x4.splat(c2)
    let d = i32x4.splat(c3)
    let key0 = i32x4.splat(k0)
    let key1 = i32x4.splat(k1)
    for (let round = 0; round < 10; round++) {
      const aLow = i64x2.extmul_low_i32x4_u(a, factor0)
      const aHigh = i64x2.extmul_high_i32x4_u(a, factor0)
      const cLow = i64x2.extmul_low_i32x4_u(c, factor1)
      const cHigh = i64x2.extmul_high_i32x4_u(c, factor1)
      a = v128.xor(v128.xor(v128.shuffle<i32>(cLow, cHigh, 1, 3, 5, 7), b), key0)
      c = v128.xor(v128.xor(v128.shuffle<i32>(aLow, aHigh, 1, 3, 5, 7), d), key1)
      b = v128.shuffle<i32>(cLow, cHigh, 0, 2, 4, 6)
      d = v128.shuffle<i32>(aLow, aHigh, 0, 2, 4, 6)
      key0 = i32x4.add(key0, i32x4.splat(0x9e3779b9))
      key1 = i32x4.add(key1, i32x4.splat(0xbb67ae85))
    }
    const abLow = v128.shuffle<i32>(a, b, 0, 4, 1, 5)
    const abHigh = v128.shuffle<i32>(a, b, 2, 6, 3, 7)
    const cdLow = v128.shuffle<i32>(c, d, 0, 4, 1, 5)
    const cdHigh = v128.shuffle<i32>(c, d, 2, 6, 3, 7)
    v128.store(target, v128.shuffle<i64>(abLow, cdLow, 0, 2))
    v128.store(target, v128.shuffle<i64>(abLow, cdLow, 1, 3), 16)
    v128.store(target, v128.shuffle<i64>(abHigh, cdHigh, 0, 2), 32)
    v128.store(target, v128.shuffle<i64>(abHigh, cdHigh, 1, 3), 48)
    block += 4
  }
}

/** Zeroes x where its random word is not below `limit`. */
export function keepBelow(x: usize, words: usize, limit: u32, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~3)
  const limits = i32x4.splat(limit)
  for (; i < whole; i += 4) keepFour(x + (i << 3), i32x4.lt_u(v128.load(words + (i << 2)), limits))
  for (; i < <usize>n; i++) if (load<u32>(words + (i << 2)) >= limit) store<f64>(x + (i << 3), 0)
}

/**
 * Ranks of the magnitudes of one row, 0 the smallest; equal ones in order of their index. Radix sort of (bits, index) pairs by bytes,
 * skipping bytes that are all alike. `scratch` has room for 4n + 1,024 words; ranks are written as 32-bit integers.
 */
export function rankMagnitudes(x: usize, ranks: usize, scratch: usize, n: i32): void {
  let from = scratch
  let to = from + (<usize>n << 3)
  const counters = to + (<usize>n << 3)
  memory.fill(counters, 0, 4096)
  for (let i: usize = 0; i < <usize>n; i++) {
    const bits = magnitudeBits(x + (i << 3))
    store<u64>(from + (i << 3), (<u64>bits << 32) | <u64>i)
    increment(counters, bits & 0xff)
    increment(counters + 1024, (bits >>> 8) & 0xff)
    increment(counters + 2048, (bits >>> 16) & 0xff)
    increment(counters + 3072, bits >>> 24)
  }
  for (let digit: usize = 0; digit < 4; digit++) {
    const table = counters + (digit << 10)
    const shift = 32 + (<u64>digit << 3)
    if (load<u32>(table + ((<usize>(load<u64>(from) >> shift) & 0xff) << 2)) == <u32>n) continue
    let before: u32 = 0
    for (let value: usize = 0; value < 1024; value += 4) {
      const count = load<u32>(table + value)
      store<u32>(table + value, before)
      before += count
    }
    for (let i: usize = 0; i < <usize>n; i++) {
      const pair = load<u64>(from + (i << 3))
      const at = table + ((<usize>(pair >> shift) & 0xff) << 2)
      const place = load<u32>(at)
      store<u32>(at, place + 1)
      store<u64>(to + (<usize>place << 3), pair)
    }
    const other = from
    from = to
    to = other
  }
  for (let i: usize = 0; i < <usize>n; i++) store<u32>(ranks + (<usize>load<u32>(from + (i << 3)) << 2), <u32>i)
}

/** Zeroes x where its random word is not below low + step * rank (a share of 2^32). */
export function keepByRank(x: usize, words: usize, ranks: usize, low: f64, step: f64, n: i32): void {
  let i: usize = 0
  const whole = <usize>(n & ~1)
  const lows = f64x2.splat(low)
  const steps = f64x2.splat(step)
  for (; i < whole; i += 2) {
    const rank = f64x2.convert_low_i32x4_u(v128.load64_zero(ranks + (i << 2)))
    const word = f64x2.convert_low_i32x4_u(v128.load64_zero(words + (i << 2)))
    const kept = f64x2.lt(word, f64x2.add(lows, f64x2.mul(steps, rank)))
    v128.store(x + (i << 3), v128.and(v128.load(x + (i << 3)), kept))
  }
  for (; i < <usize>n; i++)
    if (<f64>load<u32>(words + (i << 2)) >= low + step * <f64>load<u32>(ranks + (i << 2))) store<f64>(x + (i << 3), 0)
}
