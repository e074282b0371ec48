/**
 * Trains the rankers of one node: a support vector machine for each child, on the rows below the node (teacher forcing) and, where given, on rows that
 * the levels above would send to it. The node's rows are first copied together with columns numbered anew, so that a node of few rows costs little
 * whatever the size of the whole.
 */
import { chunkBytes, viewChunk, type XrChunkSize } from '../../models/xr-chunk.ts'
import type { XrSlots, XrTree } from '../../models/xr-tree.ts'
import type { Arena } from '../../tensor/kernels/arena.ts'
import type { DualSvmPass } from '../../tensor/kernels/dual-svm.ts'
import { loadKernels } from '../../tensor/kernels/load.ts'
import { permutation, random } from '../../tensor/random.ts'
import type { LinearMatrix } from '../linear-features.ts'
import type { UnitRows } from './label-vectors.ts'

const blockSize = 16
const mostPasses = 20
/** Largest violation of the optimality conditions at which a block is finished; margins are around 1. */
const tolerance = 0.3

export interface NodeProblem {
  readonly tree: XrTree
  readonly slots: XrSlots
  readonly unitRows: UnitRows
  readonly cost: number
  readonly threshold: number
  readonly seed: number
}

/** A trained node: its chunk's bytes and size, and its children's scales and biases. */
export interface TrainedNode {
  readonly node: number
  readonly size: XrChunkSize
  readonly bytes: Uint8Array
  readonly scales: Float32Array
  readonly biases: Float32Array
}

/** One thread's working space; grows with the largest node met, the root's rows are used in place. */
interface Space {
  readonly matrix: { offsets: number; columns: number; values: number }
  readonly norms: number
  readonly order: number
  readonly rights: number
  readonly skips: number
  readonly alphas: number
  readonly weights: number
  readonly diagonals: number
}

export function allocateNodeSpace(arena: Arena, { rows, entries, features }: LinearMatrix): Space {
  return {
    matrix: {
      offsets: arena.allocate((rows + 1) * 4),
      columns: arena.allocate(Math.ceil(entries * ownShare) * 4 + 4),
      values: arena.allocate(Math.ceil(entries * ownShare) * 4 + 4),
    },
    norms: arena.allocate(rows * 4),
    order: arena.allocate(rows * 4),
    rights: arena.allocate(rows * 2),
    skips: arena.allocate(rows),
    alphas: arena.allocate(rows * 64),
    weights: arena.allocate((features + 1) * 64),
    diagonals: arena.allocate(64),
  }
}

/** Nodes with more than this share of all entries are solved in place. */
const ownShare = 0.5

export type NodeSpace = ReturnType<typeof allocateNodeSpace>

/** The rows and columns of a node as the kernels see them. */
interface LocalMatrix {
  readonly rows: number
  readonly offsets: number
  readonly columns: number
  readonly values: number
  readonly norms: number
  /** Number in the whole matrix of each local column; undefined: the same. */
  readonly columnIds: Uint32Array | undefined
  readonly features: number
}

export class NodeSolver {
  readonly #arena: Arena
  readonly #matrix: LinearMatrix
  readonly #space: NodeSpace
  readonly #kernels: { pass4: DualSvmPass; pass16: DualSvmPass }
  readonly #problem: NodeProblem
  /** Local number + 1 of each column and row of the node at hand; 0 elsewhere. */
  readonly #columnAt: Uint32Array
  readonly #rowAt: Uint32Array

  private constructor(
    arena: Arena,
    matrix: LinearMatrix,
    space: NodeSpace,
    kernels: { pass4: DualSvmPass; pass16: DualSvmPass },
    problem: NodeProblem,
  ) {
    this.#arena = arena
    this.#matrix = matrix
    this.#space = space
    this.#kernels = kernels
    this.#problem = problem
    this.#columnAt = new Uint32Array(matrix.features)
    this.#rowAt = new Uint32Array(matrix.rows)
  }

  static async create(arena: Arena, matrix: LinearMatrix, space: NodeSpace, problem: NodeProblem): Promise<NodeSolver> {
    return new NodeSolver(arena, matrix, space, await loadKernels('dual-svm', arena.memory), problem)
  }

  /** @param strangers rows above which no label of the node stands, to tell apart too. */
  solve(node: number, strangers: Uint32Array = new Uint32Array()): TrainedNode {
    const { tree, slots } = this.#problem
    const first = tree.childStart[node]!
    const children = tree.childStart[node + 1]! - first
    const rows = this.#rowsOf(slots.from[first]!, slots.to[first + children - 1]!, strangers)
    const local = this.#gather(rows)
    const shuffles: Uint32Array[] = []
    const writer = new ChunkWriter(local, children, this.#problem.threshold)
    for (let child = 0; child < children; child += blockSize) {
      const size = Math.min(blockSize, children - child)
      const width = size <= 4 ? 4 : 16
      this.#label(rows, local, first + child, size)
      this.#descend(local, size, width, shuffles, [this.#problem.seed, node])
      writer.add(child, size, width, this.#arena.f32(this.#space.weights, (local.features + 1) * width))
    }
    for (const row of rows) this.#rowAt[row] = 0
    return { node, ...writer.finish() }
  }

  /** The rows of the units in slots [from, to), and the strangers, each once, ascending. */
  #rowsOf(from: number, to: number, strangers: Uint32Array): Uint32Array {
    const { slots, unitRows } = this.#problem
    const rows: number[] = []
    const take = (row: number) => {
      if (this.#rowAt[row] !== 0) return
      this.#rowAt[row] = 1
      rows.push(row)
    }
    for (let slot = from; slot < to; slot++) {
      const unit = slots.units[slot]!
      for (let i = unitRows.offsets[unit]!; i < unitRows.offsets[unit + 1]!; i++) take(unitRows.rows[i]!)
    }
    for (const row of strangers) take(row)
    const sorted = Uint32Array.from(rows).sort()
    for (let i = 0; i < sorted.length; i++) this.#rowAt[sorted[i]!] = i + 1
    return sorted
  }

  #gather(rows: Uint32Array): LocalMatrix {
    const { matrix, norms: normsAt } = this.#space
    const whole = this.#matrix
    const starts = this.#arena.u32(whole.offsets, whole.rows + 1)
    const columns = this.#arena.u32(whole.columns, whole.entries)
    const values = this.#arena.f32(whole.values, whole.entries)
    let entries = 0
    for (const row of rows) entries += starts[row + 1]! - starts[row]!
    if (entries > whole.entries * ownShare) {
      for (const row of rows) this.#rowAt[row] = row + 1
      return { ...whole, columnIds: undefined, rows: rows.length }
    }
    const met: number[] = []
    for (const row of rows) {
      for (let k = starts[row]!; k < starts[row + 1]!; k++) {
        const column = columns[k]!
        if (this.#columnAt[column] !== 0) continue
        this.#columnAt[column] = 1
        met.push(column)
      }
    }
    const columnIds = Uint32Array.from(met).sort()
    for (let i = 0; i < columnIds.length; i++) this.#columnAt[columnIds[i]!] = i
    const ownStarts = this.#arena.u32(matrix.offsets, rows.length + 1)
    const ownColumns = this.#arena.u32(matrix.columns, entries)
    const ownValues = this.#arena.f32(matrix.values, entries)
    const norms = this.#arena.f32(whole.norms, whole.rows)
    const ownNorms = this.#arena.f32(normsAt, rows.length)
    let used = 0
    ownStarts[0] = 0
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      for (let k = starts[row]!; k < starts[row + 1]!; k++) {
        ownColumns[used] = this.#columnAt[columns[k]!]!
        ownValues[used++] = values[k]!
      }
      ownStarts[i + 1] = used
      ownNorms[i] = norms[row]!
    }
    for (const column of columnIds) this.#columnAt[column] = 0
    return { ...matrix, norms: normsAt, rows: rows.length, columnIds, features: columnIds.length }
  }

  /** Sets the bit of each child of a block in the rows below it, and the order's rows. */
  #label(rows: Uint32Array, local: LocalMatrix, firstChild: number, size: number): void {
    const { slots, unitRows } = this.#problem
    const total = local.columnIds ? local.rows : this.#matrix.rows
    const rights = this.#arena.u16(this.#space.rights, total).fill(0)
    for (let p = 0; p < size; p++) {
      for (let slot = slots.from[firstChild + p]!; slot < slots.to[firstChild + p]!; slot++) {
        const unit = slots.units[slot]!
        for (let i = unitRows.offsets[unit]!; i < unitRows.offsets[unit + 1]!; i++)
          rights[this.#rowAt[unitRows.rows[i]!]! - 1]! |= 1 << p
      }
    }
    this.#used = local.columnIds ? undefined : rows
  }

  /** The rows of a node that is solved in place; undefined: all local ones. */
  #used: Uint32Array | undefined

  #descend(local: LocalMatrix, size: number, width: 4 | 16, shuffles: Uint32Array[], key: number[]): void {
    const space = this.#space
    const used = this.#used
    const total = used ? this.#matrix.rows : local.rows
    this.#arena.f32(space.weights, (local.features + 1) * width).fill(0)
    this.#arena.f32(space.alphas, total * width).fill(0)
    this.#arena.f32(space.diagonals, 16).fill(0.5 / this.#problem.cost)
    const skips = this.#arena.u8(space.skips, total).fill(0)
    const order = this.#arena.u32(space.order, local.rows)
    const pass = width === 4 ? this.#kernels.pass4 : this.#kernels.pass16
    let whole = true
    for (let passes = 0; ; ) {
      const shuffle = (shuffles[passes] ??= permutation(local.rows, random('xr-linear', ...key, passes)))
      if (used) for (let i = 0; i < order.length; i++) order[i] = used[shuffle[i]!]!
      else order.set(shuffle)
      passes++
      const worst = pass(
        local.rows,
        space.order,
        local.offsets,
        local.columns,
        local.values,
        local.norms,
        space.rights,
        2 ** size - 1,
        space.weights,
        space.alphas,
        1,
        space.diagonals,
        space.skips,
        tolerance / 10,
      ) // prettier-ignore
      if (passes >= mostPasses || (worst < tolerance && whole)) return
      // Rows at rest may have come to violate their conditions: the end is only believed after a pass over all of them.
      whole = worst < tolerance
      if (whole) skips.fill(0)
    }
  }
}

const largest = 127

/** Gathers the weights of a node's blocks and puts them in order of features. */
class ChunkWriter {
  readonly #local: LocalMatrix
  readonly #children: number
  readonly #threshold: number
  readonly #scales: Float32Array
  readonly #biases: Float32Array
  readonly #counts: Uint32Array
  readonly #blocks: { child: number; columns: Uint32Array; children: Uint8Array; weights: Int8Array }[] = []

  constructor(local: LocalMatrix, children: number, threshold: number) {
    this.#local = local
    this.#children = children
    this.#threshold = threshold
    this.#scales = new Float32Array(children)
    this.#biases = new Float32Array(children)
    this.#counts = new Uint32Array(local.features)
  }

  add(child: number, size: number, width: number, weights: Float32Array): void {
    const { features } = this.#local
    const tops = new Float32Array(size)
    for (let column = 0; column < features; column++) {
      for (let p = 0; p < size; p++) {
        const weight = Math.abs(weights[(column + 1) * width + p]!)
        if (weight > tops[p]!) tops[p] = weight
      }
    }
    const least = tops.map((top) => Math.max(this.#threshold, top / (2 * largest)))
    const columns: number[] = []
    const children: number[] = []
    const rounded: number[] = []
    for (let column = 0; column < features; column++) {
      const line = (column + 1) * width
      for (let p = 0; p < size; p++) {
        const weight = weights[line + p]!
        if (!(Math.abs(weight) > least[p]!)) continue
        columns.push(column)
        children.push(p)
        rounded.push(Math.round((weight / tops[p]!) * largest))
        this.#counts[column]!++
      }
    }
    this.#scales.set(
      tops.map((top) => top / largest),
      child,
    )
    this.#biases.set(weights.subarray(0, size), child)
    this.#blocks.push({
      child,
      columns: Uint32Array.from(columns),
      children: Uint8Array.from(children),
      weights: Int8Array.from(rounded),
    })
  }

  finish(): Omit<TrainedNode, 'node'> {
    const { columnIds, features } = this.#local
    let kept = 0
    let entries = 0
    for (const count of this.#counts) {
      if (count > 0) kept++
      entries += count
    }
    const size: XrChunkSize = { features: kept, entries, children: this.#children }
    const bytes = new Uint8Array(chunkBytes(size))
    const chunk = viewChunk(bytes, size)
    const cursor = new Uint32Array(features)
    let at = 0
    let line = 0
    for (let column = 0; column < features; column++) {
      cursor[column] = at
      if (this.#counts[column] === 0) continue
      chunk.features[line] = columnIds ? columnIds[column]! : column
      chunk.starts[line++] = at
      at += this.#counts[column]!
    }
    chunk.starts[line] = at
    for (const { child, columns, children, weights } of this.#blocks) {
      for (let i = 0; i < columns.length; i++) {
        const place = cursor[columns[i]!]!++
        chunk.children[place] = child + children[i]!
        chunk.weights[place] = weights[i]!
      }
    }
    return { size, bytes, scales: this.#scales, biases: this.#biases }
  }
}
