/** Solves blocks of yes-or-no problems on a matrix in shared kernel memory (see dual-svm.as.ts), one thread with its own working space. */
import type { Arena } from '../tensor/kernels/arena.ts'
import { loadKernels } from '../tensor/kernels/load.ts'
import { permutation, random } from '../tensor/random.ts'
import type { LinearMatrix } from './linear-features.ts'
import type { LinearOptions } from './linear-options.ts'
import type { LinearProblems, ProblemBlock } from './linear-problems.ts'

type Pass = (
  rows: number,
  order: number,
  offsets: number,
  columns: number,
  values: number,
  norms: number,
  rights: number,
  live: number,
  weights: number,
  alphas: number,
  bias: number,
  diagonals: number,
  skips: number,
  threshold: number,
) => number // prettier-ignore

/** Addresses of one thread's working space. */
export interface SolverSpace {
  readonly weights: number
  readonly alphas: number
  readonly order: number
  readonly rights: number
  readonly skips: number
  readonly diagonals: number
}

export function allocateSolverSpace(arena: Arena, { rows, features }: LinearMatrix): SolverSpace {
  return {
    weights: arena.allocate((features + 1) * 64),
    alphas: arena.allocate(rows * 64),
    order: arena.allocate(rows * 4),
    rights: arena.allocate(rows * 2),
    skips: arena.allocate(rows),
    diagonals: arena.allocate(64),
  }
}

/** Weights of one block: line 0 the biases, line c + 1 column c, `width` floats a line. A view that the next `solve` overwrites. */
export interface DenseBlock {
  readonly width: number
  readonly weights: Float32Array
  /** Columns that occur in the block's rows, ascending; undefined: all. */
  readonly columns: Uint32Array | undefined
  readonly passes: number
}

export class BlockSolver {
  readonly #arena: Arena
  readonly #matrix: LinearMatrix
  readonly #space: SolverSpace
  readonly #kernels: { pass4: Pass; pass16: Pass }
  readonly #marks: Uint8Array

  private constructor(arena: Arena, matrix: LinearMatrix, space: SolverSpace, kernels: { pass4: Pass; pass16: Pass }) {
    this.#arena = arena
    this.#matrix = matrix
    this.#space = space
    this.#kernels = kernels
    this.#marks = new Uint8Array(matrix.features)
  }

  static async create(arena: Arena, matrix: LinearMatrix, space: SolverSpace): Promise<BlockSolver> {
    return new BlockSolver(arena, matrix, space, await loadKernels('dual-svm', arena.memory))
  }

  /** Solves one block on the rows where its group is active; `without` leaves out rows r with without[r] = 1. */
  solve(
    problems: LinearProblems,
    block: ProblemBlock,
    options: LinearOptions,
    seed: number,
    without?: Uint8Array,
  ): DenseBlock {
    const { rows, features, offsets, columns, values, norms } = this.#matrix
    const space = this.#space
    const { groupRows, yesRows } = problems
    const active = groupRows.rows.subarray(groupRows.offsets[block.group]!, groupRows.offsets[block.group + 1]!)
    const used = without ? active.filter((row) => without[row] === 0) : active
    const width = block.size <= 4 ? 4 : 16
    const whole = used.length * 2 > rows
    const touched = whole ? undefined : this.#touched(used)
    const weights = this.#arena.f32(space.weights, (features + 1) * width)
    const alphas = this.#arena.f32(space.alphas, rows * width)
    if (touched) {
      weights.fill(0, 0, width)
      for (const column of touched) weights.fill(0, (column + 1) * width, (column + 2) * width)
      for (const row of used) alphas.fill(0, row * width, (row + 1) * width)
    } else {
      weights.fill(0)
      alphas.fill(0)
    }
    const rights = this.#arena.u16(space.rights, rows)
    rights.fill(0)
    this.#arena.u8(space.skips, rows).fill(0)
    for (let p = 0; p < block.size; p++) {
      const problem = block.first + p
      for (let i = yesRows.offsets[problem]!; i < yesRows.offsets[problem + 1]!; i++)
        rights[yesRows.rows[i]!]! |= 1 << p
    }
    this.#arena.f32(space.diagonals, 16).fill(0.5 / options.cost)
    const order = this.#arena.u32(space.order, used.length)
    const pass = width === 4 ? this.#kernels.pass4 : this.#kernels.pass16
    const live = 2 ** block.size - 1
    let passes = 0
    while (passes < options.maxPasses) {
      const shuffle = permutation(used.length, random(seed, 'linear', block.group, passes))
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
      passes++
      if (worst < options.tolerance) break
    }
    return { width, weights, columns: touched, passes }
  }

  #touched(rows: Uint32Array): Uint32Array {
    const { offsets, columns } = this.#matrix
    const starts = this.#arena.u32(offsets, this.#matrix.rows + 1)
    const entries = this.#arena.u32(columns, this.#matrix.entries)
    this.#marks.fill(0)
    let count = 0
    for (const row of rows) {
      for (let i = starts[row]!; i < starts[row + 1]!; i++) {
        const column = entries[i]!
        if (this.#marks[column] === 0) count++
        this.#marks[column] = 1
      }
    }
    const touched = new Uint32Array(count)
    count = 0
    for (let column = 0; column < this.#marks.length; column++) if (this.#marks[column] === 1) touched[count++] = column
    return touched
  }
}
