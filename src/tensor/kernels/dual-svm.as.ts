// asc: --enable threads --sharedMemory --initialMemory 1 --maximumMemory 65536
// Dual coordinate descent for the L2-regularised squared-hinge SVM (Hsieh et al., 2008), several binary problems on the same rows side by side:
// a feature's weights for 16 problems are one cache line, and a row is read once for all of them.

const one = f32x4.splat(1)
const zero = f32x4.splat(0)

/** Four problems' new dual variables of one row are stored; their changes times the labels are returned, and their violations gathered. */
let violated = f32x4.splat(0)
// @ts-ignore: decorator
@inline function update(
  margins: v128, right: u32, live: u32, alpha: u32, diagonal: u32, norm: f32, threshold: f32,
): v128 {
  const select = i32x4(1, 2, 4, 8)
  const isRight = i32x4.eq(v128.and(i32x4.splat(right), select), select)
  const isLive = i32x4.eq(v128.and(i32x4.splat(live), select), select)
  const y = v128.bitselect(one, f32x4.splat(-1), isRight)
  const d = v128.load(diagonal)
  const a = v128.load(alpha)
  const g = f32x4.add(f32x4.sub(f32x4.mul(y, margins), one), f32x4.mul(d, a))
  const next = f32x4.max(f32x4.sub(a, f32x4.div(g, f32x4.add(f32x4.splat(norm), d))), zero)
  // The projected gradient: where alpha is 0, only a negative gradient violates the optimality conditions.
  const projected = v128.bitselect(f32x4.min(g, zero), g, f32x4.le(a, zero))
  const size = v128.and(f32x4.abs(projected), isLive)
  violated = f32x4.pmax(violated, size)
  const delta = v128.and(f32x4.sub(next, a), f32x4.gt(size, f32x4.splat(threshold)))
  v128.store(alpha, f32x4.add(a, delta))
  return f32x4.mul(delta, y)
}

// @ts-ignore: decorator
@inline function largest(v: v128): f32 {
  return max(max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)))
}

// @ts-ignore: decorator
@inline function rest(at: u32, skip: u32): void {
  const level = min((skip >> 4) + 1, 3)
  store<u8>(at, <u8>((level << 4) | ((1 << level) - 1)))
}

/**
 * One pass over the rows in `order`, up to 16 problems (bit p of `live`: there is a problem p). Bit p of a row's u16 in `rights`: its label is +1.
 * diagonals: 1 / (2 C) per problem. Line 0 of the weights: the bias; line c + 1: column c. A row that changes nothing is left out of the next
 * pass, then of the next 3, then of the next 7: its skips byte holds how many are left and, in its high half, how often. Dual variables that violate their conditions by less than `threshold` stay. Returns the largest violation met.
 */
export function pass16(
  rows: u32, order: u32, offsets: u32, columns: u32, values: u32, norms: u32, rights: u32, live: u32,
  weights: u32, alphas: u32, bias: f32, diagonals: u32, skips: u32, threshold: f32,
): f32 {
  violated = zero
  const b = f32x4.splat(bias)
  for (let r: u32 = 0; r < rows; r++) {
    const row = load<u32>(order + (r << 2))
    const skip = <u32>load<u8>(skips + row)
    if (skip & 15) {
      store<u8>(skips + row, <u8>(skip - 1))
      continue
    }
    const first = columns + (load<u32>(offsets + (row << 2)) << 2)
    const last = columns + (load<u32>(offsets + (row << 2), 4) << 2)
    const shift = values - columns
    let m0 = f32x4.mul(v128.load(weights), b)
    let m1 = f32x4.mul(v128.load(weights, 16), b)
    let m2 = f32x4.mul(v128.load(weights, 32), b)
    let m3 = f32x4.mul(v128.load(weights, 48), b)
    for (let j = first; j < last; j += 4) {
      const at = weights + (load<u32>(j) << 6)
      const x = v128.load32_splat(j + shift)
      m0 = f32x4.add(m0, f32x4.mul(v128.load(at, 64), x))
      m1 = f32x4.add(m1, f32x4.mul(v128.load(at, 80), x))
      m2 = f32x4.add(m2, f32x4.mul(v128.load(at, 96), x))
      m3 = f32x4.add(m3, f32x4.mul(v128.load(at, 112), x))
    }
    const right = <u32>load<u16>(rights + (row << 1))
    const norm = load<f32>(norms + (row << 2)) + bias * bias
    const alpha = alphas + (row << 6)
    const d0 = update(m0, right, live, alpha, diagonals, norm, threshold)
    const d1 = update(m1, right >> 4, live >> 4, alpha + 16, diagonals + 16, norm, threshold)
    const d2 = update(m2, right >> 8, live >> 8, alpha + 32, diagonals + 32, norm, threshold)
    const d3 = update(m3, right >> 12, live >> 12, alpha + 48, diagonals + 48, norm, threshold)
    if (!v128.any_true(v128.or(v128.or(d0, d1), v128.or(d2, d3)))) {
      rest(skips + row, skip)
      continue
    }
    store<u8>(skips + row, 0)
    v128.store(weights, f32x4.add(v128.load(weights), f32x4.mul(d0, b)))
    v128.store(weights, f32x4.add(v128.load(weights, 16), f32x4.mul(d1, b)), 16)
    v128.store(weights, f32x4.add(v128.load(weights, 32), f32x4.mul(d2, b)), 32)
    v128.store(weights, f32x4.add(v128.load(weights, 48), f32x4.mul(d3, b)), 48)
    for (let j = first; j < last; j += 4) {
      const at = weights + (load<u32>(j) << 6)
      const x = v128.load32_splat(j + shift)
      v128.store(at, f32x4.add(v128.load(at, 64), f32x4.mul(d0, x)), 64)
      v128.store(at, f32x4.add(v128.load(at, 80), f32x4.mul(d1, x)), 80)
      v128.store(at, f32x4.add(v128.load(at, 96), f32x4.mul(d2, x)), 96)
      v128.store(at, f32x4.add(v128.load(at, 112), f32x4.mul(d3, x)), 112)
    }
  }
  return largest(violated)
}

/** The same for up to 4 problems, with a quarter of the memory. */
export function pass4(
  rows: u32, order: u32, offsets: u32, columns: u32, values: u32, norms: u32, rights: u32, live: u32,
  weights: u32, alphas: u32, bias: f32, diagonals: u32, skips: u32, threshold: f32,
): f32 {
  violated = zero
  const b = f32x4.splat(bias)
  for (let r: u32 = 0; r < rows; r++) {
    const row = load<u32>(order + (r << 2))
    const skip = <u32>load<u8>(skips + row)
    if (skip & 15) {
      store<u8>(skips + row, <u8>(skip - 1))
      continue
    }
    const first = columns + (load<u32>(offsets + (row << 2)) << 2)
    const last = columns + (load<u32>(offsets + (row << 2), 4) << 2)
    const shift = values - columns
    let m = f32x4.mul(v128.load(weights), b)
    let n = zero
    let j = first
    for (; j + 4 < last; j += 8) {
      m = f32x4.add(m, f32x4.mul(v128.load(weights + (load<u32>(j) << 4), 16), v128.load32_splat(j + shift)))
      n = f32x4.add(n, f32x4.mul(v128.load(weights + (load<u32>(j, 4) << 4), 16), v128.load32_splat(j + shift, 4)))
    }
    if (j < last) m = f32x4.add(m, f32x4.mul(v128.load(weights + (load<u32>(j) << 4), 16), v128.load32_splat(j + shift)))
    const right = <u32>load<u16>(rights + (row << 1))
    const norm = load<f32>(norms + (row << 2)) + bias * bias
    const d = update(f32x4.add(m, n), right, live, alphas + (row << 4), diagonals, norm, threshold)
    if (!v128.any_true(d)) {
      rest(skips + row, skip)
      continue
    }
    store<u8>(skips + row, 0)
    v128.store(weights, f32x4.add(v128.load(weights), f32x4.mul(d, b)))
    for (j = first; j < last; j += 4) {
      const at = weights + (load<u32>(j) << 4)
      v128.store(at, f32x4.add(v128.load(at, 16), f32x4.mul(d, v128.load32_splat(j + shift))), 16)
    }
  }
  return largest(violated)
}

/** Margins of the listed rows, 16 problems a row, one after the other into `margins`. */
export function margins16(
  rows: u32, order: u32, offsets: u32, columns: u32, values: u32, weights: u32, bias: f32, margins: u32,
): void {
  for (let r: u32 = 0; r < rows; r++) {
    const row = load<u32>(order + (r << 2))
    const last = columns + (load<u32>(offsets + (row << 2), 4) << 2)
    for (let q: u32 = 0; q < 64; q += 16) {
      let m = f32x4.mul(v128.load(weights + q), f32x4.splat(bias))
      for (let j = columns + (load<u32>(offsets + (row << 2)) << 2); j < last; j += 4) {
        m = f32x4.add(m, f32x4.mul(v128.load(weights + q + (load<u32>(j) << 6), 64), v128.load32_splat(j + values - columns)))
      }
      v128.store(margins + (r << 6) + q, m)
    }
  }
}

/** The same for 4 problems. */
export function margins4(
  rows: u32, order: u32, offsets: u32, columns: u32, values: u32, weights: u32, bias: f32, margins: u32,
): void {
  for (let r: u32 = 0; r < rows; r++) {
    const row = load<u32>(order + (r << 2))
    const last = columns + (load<u32>(offsets + (row << 2), 4) << 2)
    let m = f32x4.mul(v128.load(weights), f32x4.splat(bias))
    for (let j = columns + (load<u32>(offsets + (row << 2)) << 2); j < last; j += 4) {
      m = f32x4.add(m, f32x4.mul(v128.load(weights + (load<u32>(j) << 4), 16), v128.load32_splat(j + values - columns)))
    }
    v128.store(margins + (r << 4), m)
  }
}
