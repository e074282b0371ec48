/**
 * One tensor to merge, read in blocks. A method's formula runs over the blocks as often as it needs: statistics first, then the result.
 * What it computes does not depend on how long the blocks are.
 */
import type { MatrixKernels } from '../../tensor/linear-algebra/matrix-kernels.ts'
import type { MergeDtype, MergeKernels } from '../../tensor/merge-kernels.ts'
import type { TaskPart } from '../tasks/forms.ts'

/** Stored elements of one tensor of one model, by position. */
export interface ElementSource {
  readonly dtype: MergeDtype
  /** Fills `target` with the bytes of the elements from `start` on. */
  read(start: number, target: Uint8Array): void
}

/** Where merged elements go: blocks arrive in order, without gaps. */
export interface ElementSink {
  readonly dtype: MergeDtype
  /** Writes the bytes of the elements from `start` on; `values` are the same before rounding. */
  write(start: number, bytes: Uint8Array, values: Float64Array): void
}

/** Where a tensor stands in its model: in a layer of the output, or outside the layers. */
export type LayerPlace = { readonly index: number; readonly count: number } | 'before' | 'after'

export interface TensorTaskInput {
  readonly name: string
  /** Default: after the layers. */
  readonly layer?: LayerPlace
  readonly shape: readonly number[]
  /** The models beside the base, in the recipe's order. */
  readonly sources: readonly ElementSource[]
  readonly base?: ElementSource
  /** Stable names of the models, to key random numbers. */
  readonly keys: readonly string[]
  readonly seed: number
  readonly kernels: MergeKernels
  readonly sink: ElementSink
  /** The type that mergekit would compute in; only its own arithmetic looks at it. */
  readonly workDtype?: MergeDtype
  /** Takes what is kept for one model's task: bytes of a part, from `start` on, in order. */
  readonly writePart?: (model: number, part: TaskPart['name'], bytes: Uint8Array, start: number) => void
  /** Called before each block; throws to stop. */
  readonly onBlock?: () => void
  /** Elements of a block (default 32,768); a multiple of 4,096. */
  readonly blockLength?: number
}

const bytesOf: Record<MergeDtype, number> = { F64: 8, F32: 4, F16: 2, BF16: 2 }
/** Sums over a tensor add up the sums of pieces of this length, so that they are the same whatever a block holds. */
const piece = 4096

export class TensorTask {
  readonly name: string
  readonly layer: LayerPlace
  readonly shape: readonly number[]
  readonly length: number
  /** Of a matrix, its rows; of any other tensor, the slices along its first dimension; 1 for vectors. */
  readonly rows: number
  /** Elements of a row. */
  readonly columns: number
  /** Models beside the base. */
  readonly models: number
  readonly hasBase: boolean
  readonly keys: readonly string[]
  readonly seed: number
  readonly kernels: MergeKernels
  readonly workDtype: MergeDtype
  private readonly input: TensorTaskInput
  private readonly blockLength: number

  constructor(input: TensorTaskInput) {
    this.input = input
    this.name = input.name
    this.layer = input.layer ?? 'after'
    this.shape = input.shape
    this.length = input.shape.reduce((product, size) => product * size, 1)
    this.rows = input.shape.length < 2 ? 1 : input.shape[0]!
    this.columns = this.rows === 0 ? 0 : this.length / this.rows
    this.models = input.sources.length
    this.hasBase = input.base !== undefined
    this.keys = input.keys
    this.seed = input.seed
    this.kernels = input.kernels
    this.workDtype = input.workDtype ?? 'F64'
    this.blockLength = input.blockLength ?? 32_768
  }

  /** Linear algebra. Only methods whose definition has `matrix` may ask for it. */
  get matrices(): MatrixKernels {
    if (!this.kernels.matrices) throw new TypeError('The definition of the method has no "matrix"')
    return this.kernels.matrices
  }

  /** All blocks in order. Each loop reads the inputs anew. A block is valid until the next one. */
  *blocks(): Generator<Block> {
    for (let start = 0; start < this.length; start += this.blockLength)
      yield this.block(start, Math.min(this.blockLength, this.length - start))
  }

  /** Blocks of whole rows. */
  *rowBlocks(): Generator<RowBlock> {
    const { columns } = this
    const rows = Math.max(1, Math.floor(this.blockLength / columns))
    for (let row = 0; row < this.rows && this.length > 0; row += rows) {
      const count = Math.min(rows, this.rows - row)
      yield Object.assign(this.block(row * columns, count * columns), { firstRow: row, rows: count })
    }
  }

  /** Keeps bytes for one model's task, from byte `start` of the part on; nothing where no per-task output is wanted. */
  writePart(model: number, part: TaskPart['name'], bytes: Uint8Array, start = 0): void {
    this.input.writePart?.(model, part, bytes, start)
  }

  /** Throws if the merge is to stop: long calculations ask between their steps. */
  throwIfStopped(): void {
    this.input.onBlock?.()
  }

  /** The whole tensor as one block, for methods that need a matrix at once. */
  whole(): Block {
    return this.block(0, this.length)
  }

  private block(start: number, length: number): Block {
    this.input.onBlock?.()
    return new Block(this.input, start, length)
  }

  /** Sums of a pair of arrays' products over a block, piece by piece, added to `sum`. */
  addDot(sum: number, a: Float64Array, b: Float64Array): number {
    for (let at = 0; at < a.length; at += piece)
      sum += this.kernels.dot(a.subarray(at, at + piece), b.subarray(at, at + piece))
    return sum
  }

  /** As `addDot`, for the sum of magnitudes; blocks of rows give the length of a row as `step`. */
  addMagnitudes(sum: number, x: Float64Array, step = piece): number {
    for (let at = 0; at < x.length; at += step)
      sum += this.kernels.sumMagnitudes(x.subarray(at, Math.min(at + step, x.length)))
    return sum
  }
}

/** Elements `start` to `start + length` of all inputs. Its arrays may be changed by the method. */
export class Block {
  readonly start: number
  readonly length: number
  private readonly input: TensorTaskInput
  private readonly held: ('theta' | 'delta' | undefined)[]
  private baseHeld = false

  constructor(input: TensorTaskInput, start: number, length: number) {
    this.input = input
    this.start = start
    this.length = length
    this.held = new Array<undefined>(input.sources.length).fill(undefined)
  }

  /** The weights of a model. */
  theta(model: number): Float64Array {
    const target = this.input.kernels.doubles(`theta ${model}`, this.length)
    if (this.held[model] !== 'theta') this.decode(this.input.sources[model]!, target)
    this.held[model] = 'theta'
    return target
  }

  /** The weights of the base. */
  base(): Float64Array {
    const target = this.input.kernels.doubles('base', this.length)
    if (!this.baseHeld) this.decode(this.input.base!, target)
    this.baseHeld = true
    return target
  }

  /** A model's difference from the base. It takes the place of `theta(model)`. */
  delta(model: number): Float64Array {
    const target = this.input.kernels.doubles(`theta ${model}`, this.length)
    if (this.held[model] === 'delta') return target
    const theta = this.theta(model)
    this.input.kernels.subtract(target, theta, this.base())
    this.held[model] = 'delta'
    return target
  }

  /** sum += w * theta(model), without keeping theta. */
  addTheta(sum: Float64Array, model: number, w: number): void {
    const source = this.input.sources[model]!
    this.input.kernels.addScaledStored(sum, this.read(source), source.dtype, w)
  }

  /** An array of the block's length for results and sums, by name, filled with zeros. */
  zeros(name: string): Float64Array {
    return this.input.kernels.doubles(name, this.length).fill(0)
  }

  /** Hands over the merged elements. */
  write(values: Float64Array): void {
    const { sink, kernels } = this.input
    const bytes = kernels.bytes('written', this.length * bytesOf[sink.dtype])
    kernels.encode(values, sink.dtype, bytes)
    sink.write(this.start, bytes, values)
  }

  private read(source: ElementSource): Uint8Array {
    const bytes = this.input.kernels.bytes('read', this.length * bytesOf[source.dtype])
    source.read(this.start, bytes)
    return bytes
  }

  private decode(source: ElementSource, target: Float64Array): void {
    this.input.kernels.decode(this.read(source), source.dtype, target)
  }
}

export interface RowBlock extends Block {
  readonly firstRow: number
  readonly rows: number
}
