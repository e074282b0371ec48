/** A WebAssembly memory that is handed out piece by piece to kernels; pieces are never taken back. */
import { RunError } from '../../util/errors.ts'

const page = 65_536
/** Pieces start at cache lines. */
const line = 64

export class Arena {
  readonly memory: WebAssembly.Memory
  /** The first page is left to the kernels themselves. */
  #free = page

  /** A fresh memory; or a view of one that another thread's arena hands out: then nothing may be allocated here. */
  constructor(memory?: WebAssembly.Memory) {
    this.memory = memory ?? new WebAssembly.Memory({ initial: 1, maximum: page })
  }

  /** An arena in memory that threads share. */
  static shared(): Arena {
    return new Arena(new WebAssembly.Memory({ initial: 1, maximum: page, shared: true }))
  }

  /** Bytes handed out so far. */
  get used(): number {
    return this.#free
  }

  /** The address of `bytes` fresh zeros. Throws RunError `MEMORY` beyond 4 GiB. Views made before may be detached: make them again. */
  allocate(bytes: number): number {
    const at = this.#free
    const end = Math.ceil((at + bytes) / line) * line
    const missing = Math.ceil(end / page) - this.memory.buffer.byteLength / page
    if (missing > 0) {
      try {
        this.memory.grow(missing)
      } catch (cause) {
        throw new RunError(
          'MEMORY',
          `Expected at most 4 GiB of kernel memory, needed ${(end / 2 ** 30).toFixed(1)} GiB`,
          {
            help: 'use fewer rows or shorter texts',
            cause,
          },
        )
      }
    }
    this.#free = end
    return at
  }

  u8(at: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, length)
  }

  i8(at: number, length: number): Int8Array {
    return new Int8Array(this.memory.buffer, at, length)
  }

  u16(at: number, length: number): Uint16Array {
    return new Uint16Array(this.memory.buffer, at, length)
  }

  u32(at: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, length)
  }

  f32(at: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, length)
  }
}
