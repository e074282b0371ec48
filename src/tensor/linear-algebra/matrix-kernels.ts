/** The memory and the SIMD kernels of the linear algebra: one for a thread, room handed out like a stack. */
import { RunError } from '../../util/errors.ts'
import { loadWasm } from '../../util/wasm.ts'

const page = 65_536
const workDoubles = 96 * 256 + 256 * 512 + 16

/** Addresses are in bytes, strides in elements. */
interface Exports {
  setWork(address: number): void
  gemm(
    ...args: [
      m: number,
      n: number,
      k: number,
      alpha: number,
      ...a: [at: number, row: number, column: number],
      ...b: [at: number, row: number, column: number],
      ...c: [at: number, row: number],
    ]
  ): void
  dot(x: number, y: number, n: number): number
  axpy(w: number, x: number, y: number, n: number): void
  scale(w: number, x: number, n: number): void
  gather(source: number, step: number, target: number, n: number): void
  gemv(m: number, n: number, alpha: number, a: number, lda: number, x: number, y: number): void
  gemvT(m: number, n: number, alpha: number, a: number, lda: number, x: number, y: number): void
  rotateRows(
    ...args: [
      rows: number,
      width: number,
      x: number,
      ldx: number,
      sweeps: number,
      count: number,
      turns: number,
      panel: number,
    ]
  ): void
  mirror(x: number, n: number): void
  transpose(m: number, n: number, source: number, target: number): void
}

export class MatrixKernels {
  readonly wasm: Exports
  private readonly memory: WebAssembly.Memory
  private free = page // the first page is the module's own

  private constructor(memory: WebAssembly.Memory, wasm: Exports) {
    this.memory = memory
    this.wasm = wasm
    wasm.setWork(this.reserve(workDoubles))
  }

  /** Loads the kernels into a memory of their own. Everything after that is synchronous. */
  static async open(): Promise<MatrixKernels> {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: page })
    const wasm = await loadWasm(import.meta.url, './matrix-kernels.as.ts', memory)
    return new MatrixKernels(memory, wasm as unknown as Exports)
  }

  /** Runs `work`; what it reserved is free again afterwards. */
  scope<T>(work: () => T): T {
    const mark = this.free
    try {
      return work()
    } finally {
      this.free = mark
    }
  }

  /** The address of room for this many doubles, with arbitrary content. Throws RunError `MEMORY` beyond 4 GiB. */
  reserve(doubles: number): number {
    const at = this.free
    const end = at + Math.ceil(doubles / 8) * 64
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / page)
    if (end > page * page) throw outOfRoom(end)
    if (missing > 0) {
      try {
        this.memory.grow(missing)
      } catch (cause) {
        throw outOfRoom(end, cause)
      }
    }
    this.free = end
    return at
  }

  zeros(doubles: number): number {
    const at = this.reserve(doubles)
    this.view(at, doubles).fill(0)
    return at
  }

  /** A copy of the values. */
  load(values: Float64Array): number {
    const at = this.reserve(values.length)
    this.view(at, values.length).set(values)
    return at
  }

  /** The doubles at an address. Reserving more may detach the view: make it again. */
  view(at: number, doubles: number): Float64Array {
    return new Float64Array(this.memory.buffer, at, doubles)
  }

  integers(at: number, count: number): Int32Array {
    return new Int32Array(this.memory.buffer, at, count)
  }
}

function outOfRoom(bytes: number, cause?: unknown): RunError {
  return new RunError('MEMORY', `Expected at most 4 GiB of matrices, needed ${(bytes / 2 ** 30).toFixed(1)} GiB`, {
    help: 'leave the largest tensors out of matrix methods, or use a truncated decomposition',
    cause,
  })
}
