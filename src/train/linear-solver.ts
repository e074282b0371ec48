/** Solves blocks of yes-or-no problems on a matrix in shared kernel memory (see dual-svm.as.ts), one thread with its own working space. */
import type { Arena } from '../tensor/kernels/arena.ts'
import type { DualSvmMargins, DualSvmPass } from '../tensor/kernels/dual-svm.ts'
import { loadKernels } from '../tensor/kernels/load.ts'
import { permutation, random } from '../tensor/random.ts'
import type { LinearMatrix } from './linear-features.ts'
import type { LinearOptions } from './linear-options.ts'
import type { LinearProblems, ProblemBlock } from './linear-problems.ts'
import { blockRows } from './linear-rows.ts'

interface SolverKernels {
  pass4: DualSvmPass
  pass16: DualSvmPass
  margins4: DualSvmMargins
  margins16: DualSvmMargins
}

/** Rows of shuffles kept for the next block. */
const keptShuffles = 2_000_000
/** How much looser the first solution may be, which only serves to score held-out rows and to start from. */
const firstLooser = 2

/** Addresses of one thread's working space. */
export interface SolverSpace {
  readonly weights: number
  readonly alphas: number
  readonly order: number
  readonly rights: number
  readonly skips: number
  readonly diagonals: number
  readonly margins: number
}

export function allocateSolverSpace(arena: Arena, { rows, features }: LinearMatrix, heldOut: number): SolverSpace {
  return {
    weights: arena.allocate((features + 1) * 64),
    alphas: arena.allocate(rows * 64),
    order: arena.allocate(rows * 4),
    rights: arena.allocate(rows * 2),
    skips: arena.allocate(rows),
    diagonals: arena.allocate(64),
    margins: arena.allocate(heldOut * 64),
  }
}

/** Weights of one block: line 0 the biases, line c + 1 column c, `width` floats a line. A view that the next `solve` overwrites. */
export interface DenseBlock {
  readonly width: number
  readonly weights: Float32Array
  /** Columns that occur in the block's rows or in held-out ones, ascending; undefined: all. */
  readonly columns: Uint32Array | undefined
  readonly passes: number
  /** Margins of the held-out rows before they were trained on, [held-out rows x width]. */
  readonly margins: Float32Array
}

export class BlockSolver {
  readonly #arena: Arena
  readonly #matrix: LinearMatrix
  readonly #space: SolverSpace
  readonly #kernels: SolverKernels
  readonly #marks: Uint8Array
  readonly #shuffles = new Map<string, Uint32Array>()

  private constructor(arena: Arena, matrix: LinearMatrix, space: SolverSpace, kernels: SolverKernels) {
    this.#arena = arena
    this.#matrix = matrix
    this.#space = space
    this.#kernels = kernels
    this.#marks = new Uint8Array(matrix.features)
  }

  static async create(arena: Arena, matrix: LinearMatrix, space: SolverSpace): Promise<BlockSolver> {
    return new BlockSolver(arena, matrix, space, await loadKernels('dual-svm', arena.memory))
  }

  /**
   * Solves one block on the rows where its group is active: first without the held-out rows, for their honest margins, then, starting from that
   * solution, with them.
   */
  solve(
    problems: LinearProblems,
    block: ProblemBlock,
    heldOut: Uint32Array,
    options: LinearOptions,
    seed: number,
  ): DenseBlock {
    const { rows, features, offsets, columns, values } = this.#matrix
    const space = this.#space
    const { groupRows } = problems
    const active = blockRows(
      problems,
      block,
      groupRows.rows.subarray(groupRows.offsets[block.group]!, groupRows.offsets[block.group + 1]!),
      rows,
      seed,
    ) // prettier-ignore
    const width = block.size <= 4 ? 4 : 16
    const touched = active.length * 2 > rows ? undefined : this.#touched([active, heldOut])
    this.#clear(active, touched, width)
    this.#label(problems, block)
    this.#arena.f32(space.diagonals, 16).fill(0.5 / (block.twoWay ? options.cost / 4 : options.cost))
    let passes = 0
    if (heldOut.length > 0) {
      const held = new Set(heldOut)
      const others = active.filter((row) => !held.has(row))
      const looser = { ...options, tolerance: options.tolerance * firstLooser }
      passes += this.#descend(others, block, width, looser, [seed, block.group, 0])
      this.#arena.u32(space.order, heldOut.length).set(heldOut)
      const margins = width === 4 ? this.#kernels.margins4 : this.#kernels.margins16
      margins(heldOut.length, space.order, offsets, columns, values, space.weights, 1, space.margins)
    }
    passes += this.#descend(active, block, width, options, [seed, block.group, 1])
    return {
      width,
      weights: this.#arena.f32(space.weights, (features + 1) * width),
      columns: touched,
      passes,
      margins: this.#arena.f32(space.margins, heldOut.length * width),
    }
  }

  #clear(active: Uint32Array, touched: Uint32Array | undefined, width: number): void {
    const { rows, features } = this.#matrix
    const weights = this.#arena.f32(this.#space.weights, (features + 1) * width)
    const alphas = this.#arena.f32(this.#space.alphas, rows * width)
    if (touched) {
      weights.fill(0, 0, width)
      for (const column of touched) weights.fill(0, (column + 1) * width, (column + 2) * width)
      for (const row of active) alphas.fill(0, row * width, (row + 1) * width)
    } else {
      weights.fill(0)
      alphas.fill(0)
    }
  }

  #label({ yesRows }: LinearProblems, { first, size }: ProblemBlock): void {
    const rights = this.#arena.u16(this.#space.rights, this.#matrix.rows)
    rights.fill(0)
    for (let p = 0; p < size; p++) {
      for (let i = yesRows.offsets[first + p]!; i < yesRows.offsets[first + p + 1]!; i++)
        rights[yesRows.rows[i]!]! |= 1 << p
    }
  }

  /** Passes over the rows, each in another order, until no condition is violated by more than the tolerance. Returns their number. */
  #descend(used: Uint32Array, { size }: ProblemBlock, width: 4 | 16, options: LinearOptions, key: number[]): number {
    const { rows, offsets, columns, values, norms } = this.#matrix
    const space = this.#space
    const skips = this.#arena.u8(space.skips, rows).fill(0)
    let whole = true
    const order = this.#arena.u32(space.order, used.length)
    const pass = width === 4 ? this.#kernels.pass4 : this.#kernels.pass16
    const live = 2 ** size - 1
    for (let passes = 1; ; passes++) {
      const shuffle = this.#shuffle(used.length, [...key, passes])
      for (let i = 0; i < used.length; i++) order[i] = used[shuffle[i]!]!
      const worst = pass(
        used.length,
        space.order,
        offsets,
        columns,
        values,
        norms,
        space.rights,
        live,
        space.weights,
        space.alphas,
        1,
        space.diagonals,
        space.skips,
        options.tolerance / 10,
      ) // prettier-ignore
      if (passes >= options.maxPasses || (worst < options.tolerance && whole)) return passes
      // Rows at rest may have come to violate their conditions: the end is only believed after a pass over all of them.
      whole = worst < options.tolerance
      if (whole) skips.fill(0)
    }
  }

  /** The order of rows in a pass: the same for all blocks of a group. */
  #shuffle(length: number, key: number[]): Uint32Array {
    const name = [length, ...key].join()
    const known = this.#shuffles.get(name)
    if (known) return known
    const shuffle = permutation(length, random('linear', ...key))
    if ((this.#shuffles.size + 1) * length > keptShuffles) this.#shuffles.clear()
    this.#shuffles.set(name, shuffle)
    return shuffle
  }

  #touched(parts: readonly Uint32Array[]): Uint32Array {
    const { offsets, columns } = this.#matrix
    const starts = this.#arena.u32(offsets, this.#matrix.rows + 1)
    const entries = this.#arena.u32(columns, this.#matrix.entries)
    this.#marks.fill(0)
    let count = 0
    for (const rows of parts) {
      for (const row of rows) {
        for (let i = starts[row]!; i < starts[row + 1]!; i++) {
          const column = entries[i]!
          if (this.#marks[column] === 0) count++
          this.#marks[column] = 1
        }
      }
    }
    const touched = new Uint32Array(count)
    count = 0
    for (let column = 0; column < this.#marks.length; column++) if (this.#marks[column] === 1) touched[count++] = column
    return touched
  }
}
