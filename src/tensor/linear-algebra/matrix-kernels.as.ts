// Dense matrix kernels in f64: product with packed panels (Goto and van de Geijn, 2008), matrix-vector products, and sequences of plane
// rotations applied to pairs of neighbouring rows. Addresses are in bytes, strides in elements.

const mr: i32 = 4
const nr: i32 = 4
const kBlock: i32 = 256
const mBlock: i32 = 96
const nBlock: i32 = 512

/** Scratch memory for packed panels and tiles, set once: 96 * 256 + 256 * 512 + 16 doubles. */
let work: usize = 0

export function setWork(address: usize): void {
  work = address
}

/** c[4x4] += alpha * a * b for packed panels of depth k. */
// @ts-ignore: decorator
@inline
function tile(k: i32, a: usize, b: usize, c: usize, ldc: usize, alpha: f64): void {
  let c00 = f64x2.splat(0)
  let c01 = f64x2.splat(0)
  let c10 = f64x2.splat(0)
  let c11 = f64x2.splat(0)
  let c20 = f64x2.splat(0)
  let c21 = f64x2.splat(0)
  let c30 = f64x2.splat(0)
  let c31 = f64x2.splat(0)
  const end = a + (<usize>k << 5)
  while (a < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    let x = v128.load64_splat(a)
    c00 = f64x2.add(c00, f64x2.mul(x, b0))
    c01 = f64x2.add(c01, f64x2.mul(x, b1))
    x = v128.load64_splat(a, 8)
    c10 = f64x2.add(c10, f64x2.mul(x, b0))
    c11 = f64x2.add(c11, f64x2.mul(x, b1))
    x = v128.load64_splat(a, 16)
    c20 = f64x2.add(c20, f64x2.mul(x, b0))
    c21 = f64x2.add(c21, f64x2.mul(x, b1))
    x = v128.load64_splat(a, 24)
    c30 = f64x2.add(c30, f64x2.mul(x, b0))
    c31 = f64x2.add(c31, f64x2.mul(x, b1))
    a += 32
    b += 32
  }
  const w = f64x2.splat(alpha)
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(w, c00)))
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(w, c01)), 16)
  c += ldc << 3
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(w, c10)))
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(w, c11)), 16)
  c += ldc << 3
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(w, c20)))
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(w, c21)), 16)
  c += ldc << 3
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(w, c30)))
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(w, c31)), 16)
}

/** Packs `count` x `depth` elements into panels of 4, zeros beyond the edge: element (i, p) at source + i * across + p * along. */
function pack(source: usize, count: i32, depth: i32, across: usize, along: usize, target: usize): void {
  for (let i = 0; i < count; i += 4) {
    const left = count - i
    let s0 = source + ((<usize>i * across) << 3)
    if (left >= 4) {
      let s1 = s0 + (across << 3)
      let s2 = s1 + (across << 3)
      let s3 = s2 + (across << 3)
      for (let p = 0; p < depth; p++) {
        store<f64>(target, load<f64>(s0))
        store<f64>(target, load<f64>(s1), 8)
        store<f64>(target, load<f64>(s2), 16)
        store<f64>(target, load<f64>(s3), 24)
        s0 += along << 3
        s1 += along << 3
        s2 += along << 3
        s3 += along << 3
        target += 32
      }
    } else {
      for (let p = 0; p < depth; p++) {
        for (let r = 0; r < 4; r++)
          store<f64>(target + (<usize>r << 3), r < left ? load<f64>(s0 + ((<usize>r * across) << 3)) : 0)
        s0 += along << 3
        target += 32
      }
    }
  }
}

/** c (m x n, rows ldc apart) += alpha * a (m x k) * b (k x n), for any strides of a and b. */
export function gemm(
  m: i32,
  n: i32,
  k: i32,
  alpha: f64,
  a: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  bColumn: usize,
  c: usize,
  ldc: usize,
): void {
  const packedA = work
  const packedB = packedA + (<usize>(mBlock * kBlock) << 3)
  const edge = packedB + (<usize>(kBlock * nBlock) << 3)
  for (let j0 = 0; j0 < n; j0 += nBlock) {
    const columns = min(nBlock, n - j0)
    for (let p0 = 0; p0 < k; p0 += kBlock) {
      const depth = min(kBlock, k - p0)
      pack(b + ((<usize>p0 * bRow + <usize>j0 * bColumn) << 3), columns, depth, bColumn, bRow, packedB)
      for (let i0 = 0; i0 < m; i0 += mBlock) {
        const rows = min(mBlock, m - i0)
        pack(a + ((<usize>i0 * aRow + <usize>p0 * aColumn) << 3), rows, depth, aRow, aColumn, packedA)
        for (let j = 0; j < columns; j += nr) {
          const panelB = packedB + (<usize>(j * depth) << 3)
          for (let i = 0; i < rows; i += mr) {
            const panelA = packedA + (<usize>(i * depth) << 3)
            const at = c + ((<usize>(i0 + i) * ldc + <usize>(j0 + j)) << 3)
            if (i + mr <= rows && j + nr <= columns) tile(depth, panelA, panelB, at, ldc, alpha)
            else {
              memory.fill(edge, 0, 128)
              tile(depth, panelA, panelB, edge, 4, alpha)
              const height = min(mr, rows - i)
              const width = min(nr, columns - j)
              for (let r = 0; r < height; r++)
                for (let s = 0; s < width; s++) {
                  const target = at + ((<usize>r * ldc + <usize>s) << 3)
                  store<f64>(target, load<f64>(target) + load<f64>(edge + (<usize>(r * 4 + s) << 3)))
                }
            }
          }
        }
      }
    }
  }
}

export function dot(x: usize, y: usize, n: i32): f64 {
  let s0 = f64x2.splat(0)
  let s1 = f64x2.splat(0)
  let s2 = f64x2.splat(0)
  let s3 = f64x2.splat(0)
  let i = 0
  for (; i + 8 <= n; i += 8) {
    s0 = f64x2.add(s0, f64x2.mul(v128.load(x), v128.load(y)))
    s1 = f64x2.add(s1, f64x2.mul(v128.load(x, 16), v128.load(y, 16)))
    s2 = f64x2.add(s2, f64x2.mul(v128.load(x, 32), v128.load(y, 32)))
    s3 = f64x2.add(s3, f64x2.mul(v128.load(x, 48), v128.load(y, 48)))
    x += 64
    y += 64
  }
  s0 = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3))
  let sum = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1)
  for (; i < n; i++) {
    sum += load<f64>(x) * load<f64>(y)
    x += 8
    y += 8
  }
  return sum
}

/** y += w * x */
export function axpy(w: f64, x: usize, y: usize, n: i32): void {
  const v = f64x2.splat(w)
  let i = 0
  for (; i + 4 <= n; i += 4) {
    v128.store(y, f64x2.add(v128.load(y), f64x2.mul(v, v128.load(x))))
    v128.store(y, f64x2.add(v128.load(y, 16), f64x2.mul(v, v128.load(x, 16))), 16)
    x += 32
    y += 32
  }
  for (; i < n; i++) {
    store<f64>(y, load<f64>(y) + w * load<f64>(x))
    x += 8
    y += 8
  }
}

export function scale(w: f64, x: usize, n: i32): void {
  const end = x + (<usize>n << 3)
  for (; x < end; x += 8) store<f64>(x, w * load<f64>(x))
}

/** target[i] = source[i * step] */
export function gather(source: usize, step: usize, target: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    store<f64>(target, load<f64>(source))
    source += step << 3
    target += 8
  }
}

/** y[i] = alpha * (row i of a) . x */
export function gemv(m: i32, n: i32, alpha: f64, a: usize, lda: usize, x: usize, y: usize): void {
  let i = 0
  for (; i + 4 <= m; i += 4) {
    let a0 = a
    let a1 = a0 + (lda << 3)
    let a2 = a1 + (lda << 3)
    let a3 = a2 + (lda << 3)
    let s0 = f64x2.splat(0)
    let s1 = f64x2.splat(0)
    let s2 = f64x2.splat(0)
    let s3 = f64x2.splat(0)
    let at = x
    let j = 0
    for (; j + 2 <= n; j += 2) {
      const v = v128.load(at)
      s0 = f64x2.add(s0, f64x2.mul(v128.load(a0), v))
      s1 = f64x2.add(s1, f64x2.mul(v128.load(a1), v))
      s2 = f64x2.add(s2, f64x2.mul(v128.load(a2), v))
      s3 = f64x2.add(s3, f64x2.mul(v128.load(a3), v))
      a0 += 16
      a1 += 16
      a2 += 16
      a3 += 16
      at += 16
    }
    let t0 = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1)
    let t1 = f64x2.extract_lane(s1, 0) + f64x2.extract_lane(s1, 1)
    let t2 = f64x2.extract_lane(s2, 0) + f64x2.extract_lane(s2, 1)
    let t3 = f64x2.extract_lane(s3, 0) + f64x2.extract_lane(s3, 1)
    if (j < n) {
      const last = load<f64>(at)
      t0 += load<f64>(a0) * last
      t1 += load<f64>(a1) * last
      t2 += load<f64>(a2) * last
      t3 += load<f64>(a3) * last
    }
    store<f64>(y, alpha * t0)
    store<f64>(y, alpha * t1, 8)
    store<f64>(y, alpha * t2, 16)
    store<f64>(y, alpha * t3, 24)
    y += 32
    a += lda << 5
  }
  for (; i < m; i++) {
    store<f64>(y, alpha * dot(a, x, n))
    y += 8
    a += lda << 3
  }
}

/** y += alpha * sum over i of x[i] * (row i of a) */
export function gemvT(m: i32, n: i32, alpha: f64, a: usize, lda: usize, x: usize, y: usize): void {
  let i = 0
  for (; i + 4 <= m; i += 4) {
    const x0 = alpha * load<f64>(x)
    const x1 = alpha * load<f64>(x, 8)
    const x2 = alpha * load<f64>(x, 16)
    const x3 = alpha * load<f64>(x, 24)
    const w0 = f64x2.splat(x0)
    const w1 = f64x2.splat(x1)
    const w2 = f64x2.splat(x2)
    const w3 = f64x2.splat(x3)
    let a0 = a
    let a1 = a0 + (lda << 3)
    let a2 = a1 + (lda << 3)
    let a3 = a2 + (lda << 3)
    let at = y
    let j = 0
    for (; j + 2 <= n; j += 2) {
      const first = f64x2.add(f64x2.mul(w0, v128.load(a0)), f64x2.mul(w1, v128.load(a1)))
      const second = f64x2.add(f64x2.mul(w2, v128.load(a2)), f64x2.mul(w3, v128.load(a3)))
      v128.store(at, f64x2.add(v128.load(at), f64x2.add(first, second)))
      a0 += 16
      a1 += 16
      a2 += 16
      a3 += 16
      at += 16
    }
    if (j < n)
      store<f64>(at, load<f64>(at) + (x0 * load<f64>(a0) + x1 * load<f64>(a1) + (x2 * load<f64>(a2) + x3 * load<f64>(a3))))
    x += 32
    a += lda << 5
  }
  for (; i < m; i++) {
    axpy(alpha * load<f64>(x), a, y, n)
    x += 8
    a += lda << 3
  }
}

/**
 * Applies sweeps of rotations to the rows of x (`rows` x `width`, ldx apart): a sweep turns the pairs (first, first + 1), (first + 1,
 * first + 2), ... in order; row k becomes c * row k + s * row k+1, row k+1 becomes c * row k+1 - s * row k. `sweeps` lists [first, count]
 * as i32, `turns` the pairs [c, s] of all sweeps. `panel` has room for rows * 8 doubles.
 */
export function rotateRows(rows: i32, width: i32, x: usize, ldx: usize, sweeps: usize, count: i32, turns: usize, panel: usize): void {
  for (let j = 0; j < width; j += 8) {
    const part = min(8, width - j)
    let from = x + (<usize>j << 3)
    let to = panel
    for (let i = 0; i < rows; i++) {
      if (part == 8) memory.copy(to, from, 64)
      else {
        memory.fill(to, 0, 64)
        memory.copy(to, from, <usize>part << 3)
      }
      from += ldx << 3
      to += 64
    }
    let turn = turns
    for (let sweep = 0; sweep < count; sweep++) {
      const first = load<i32>(sweeps + (<usize>sweep << 3))
      const pairs = load<i32>(sweeps + (<usize>sweep << 3), 4)
      let at = panel + (<usize>first << 6)
      let h0 = v128.load(at)
      let h1 = v128.load(at, 16)
      let h2 = v128.load(at, 32)
      let h3 = v128.load(at, 48)
      for (let k = 0; k < pairs; k++) {
        const c = v128.load64_splat(turn)
        const s = v128.load64_splat(turn, 8)
        turn += 16
        const n0 = v128.load(at, 64)
        const n1 = v128.load(at, 80)
        const n2 = v128.load(at, 96)
        const n3 = v128.load(at, 112)
        v128.store(at, f64x2.add(f64x2.mul(c, h0), f64x2.mul(s, n0)))
        v128.store(at, f64x2.add(f64x2.mul(c, h1), f64x2.mul(s, n1)), 16)
        v128.store(at, f64x2.add(f64x2.mul(c, h2), f64x2.mul(s, n2)), 32)
        v128.store(at, f64x2.add(f64x2.mul(c, h3), f64x2.mul(s, n3)), 48)
        h0 = f64x2.sub(f64x2.mul(c, n0), f64x2.mul(s, h0))
        h1 = f64x2.sub(f64x2.mul(c, n1), f64x2.mul(s, h1))
        h2 = f64x2.sub(f64x2.mul(c, n2), f64x2.mul(s, h2))
        h3 = f64x2.sub(f64x2.mul(c, n3), f64x2.mul(s, h3))
        at += 64
      }
      v128.store(at, h0)
      v128.store(at, h1, 16)
      v128.store(at, h2, 32)
      v128.store(at, h3, 48)
    }
    from = x + (<usize>j << 3)
    to = panel
    for (let i = 0; i < rows; i++) {
      memory.copy(from, to, <usize>part << 3)
      from += ldx << 3
      to += 64
    }
  }
}

/** Makes the lower triangle of x (n x n, contiguous) the mirror of the upper one. */
export function mirror(x: usize, n: i32): void {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) store<f64>(x + (<usize>(i * n + j) << 3), load<f64>(x + (<usize>(j * n + i) << 3)))
}

/** target (n x m) = the transpose of source (m x n), both contiguous, by tiles. */
export function transpose(m: i32, n: i32, source: usize, target: usize): void {
  for (let i0 = 0; i0 < m; i0 += 16)
    for (let j0 = 0; j0 < n; j0 += 16) {
      const i1 = min(m, i0 + 16)
      const j1 = min(n, j0 + 16)
      for (let i = i0; i < i1; i++)
        for (let j = j0; j < j1; j++)
          store<f64>(target + ((<usize>j * <usize>m + <usize>i) << 3), load<f64>(source + ((<usize>i * <usize>n + <usize>j) << 3)))
    }
}
