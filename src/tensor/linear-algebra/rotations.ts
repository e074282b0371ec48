/** Plane rotations of an iteration, kept back and applied many sweeps at a time to the rows of a matrix of vectors. */
import type { MatrixKernels } from './matrix-kernels.ts'

const mostSweeps = 64

/** c, s and r with c * f + s * g = r and c * g - s * f = 0, for values around 1 and below. */
export function rotation(f: number, g: number): readonly [c: number, s: number, r: number] {
  if (g === 0) return [1, 0, f]
  const square = f * f + g * g
  const r = square > 1e-280 ? Math.sqrt(square) : Math.hypot(f, g)
  return [f / r, g / r, r]
}

/** Sweeps of rotations of neighbouring rows, for a matrix of `rows` x `width` at an address. */
export class RotationQueue {
  private readonly kernels: MatrixKernels
  private readonly target: readonly [at: number, rows: number, width: number]
  private readonly sweeps: number
  private readonly turns: number
  private readonly panel: number
  private count = 0
  private used = 0

  constructor(kernels: MatrixKernels, target: readonly [at: number, rows: number, width: number]) {
    this.kernels = kernels
    this.target = target
    const [, rows] = target
    this.sweeps = kernels.reserve(mostSweeps)
    this.turns = kernels.reserve(2 * mostSweeps * rows)
    this.panel = kernels.reserve(8 * rows)
  }

  /** Adds a sweep that starts at the pair (first, first + 1); `turns` lists c and s of each pair. */
  add(first: number, turns: Float64Array): void {
    if (this.count === mostSweeps) this.flush()
    this.kernels.integers(this.sweeps + this.count * 8, 2).set([first, turns.length / 2])
    this.kernels.view(this.turns + this.used * 8, turns.length).set(turns)
    this.count++
    this.used += turns.length
  }

  /** Applies everything that was added. */
  flush(): void {
    const [at, rows, width] = this.target
    if (this.count > 0)
      this.kernels.wasm.rotateRows(rows, width, at, width, this.sweeps, this.count, this.turns, this.panel)
    this.count = 0
    this.used = 0
  }
}
