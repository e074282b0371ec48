/**
 * Graphs of ONNX operators with reverse-mode derivatives. A tensor is an ONNX value plus the rule that carries a gradient back to its
 * inputs (a vector-Jacobian product, VJP); the backward pass is more ONNX nodes, so one session runs forward and backward.
 */
import { InputError } from '../util/errors.ts'
import { bytesOf, type Dtype, type HostArray, hostArray, hostArrayFrom, isFloat } from './dtype.ts'
import { type Dim, factorOf, formatShape, type Shape, sumOf, symbolsOf } from './shape.ts'

export type Attribute =
  | { int: number }
  | { float: number }
  | { ints: readonly number[] }
  | { string: string }
  | { graph: Subgraph }

/** A graph inside a node, such as the body of a loop. Its nodes may read values of the graph around it by name. */
export interface Subgraph {
  readonly graph: Graph
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[]
  /** Names of values of the graph around it that it reads. */
  readonly captured: readonly string[]
}

/** One ONNX operator call. Inputs are value names, '' for an optional one that is left out. */
export interface OnnxNode {
  readonly op: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, Attribute>>
}

/** Gradients with respect to the inputs, in their order, from those of the outputs; undefined where there is none. */
export type Vjp = (gradients: readonly (Tensor | undefined)[]) => readonly (Tensor | undefined)[]

interface Origin {
  readonly inputs: readonly (Tensor | undefined)[]
  readonly outputs: readonly Tensor[]
  readonly vjp: Vjp
}

/** A value of the graph. Make them with the functions of `ops`, not by hand. */
export class Tensor {
  readonly graph: Graph
  readonly id: number
  readonly name: string
  readonly dtype: Dtype
  readonly shape: Shape
  /** How gradients flow to what it was computed from; undefined for leaves and for values that carry none. */
  origin: Origin | undefined

  constructor(graph: Graph, id: number, name: string, dtype: Dtype, shape: Shape) {
    this.graph = graph
    this.id = id
    this.name = name
    this.dtype = dtype
    this.shape = shape
  }

  get rank(): number {
    return this.shape.length
  }
}

export interface GraphInput {
  readonly tensor: Tensor
  /** parameter: a weight, bound once. random: bytes for dropout, filled by the session. input: fed at every run. */
  readonly kind: 'input' | 'parameter' | 'random'
}

export interface OutputType {
  dtype: Dtype
  shape: Shape
}

export class Graph {
  readonly inputs = new Map<string, GraphInput>()
  readonly nodes: OnnxNode[] = []
  readonly constants = new Map<string, { dtype: Dtype; shape: readonly number[]; data: HostArray }>()
  private readonly constantOf = new Map<string, Tensor>()
  private readonly shapeVectors = new Map<string, Tensor>()
  private counter = 0
  private readonly prefix: string

  /** @param prefix stands before the names of values: a graph inside another must not repeat its names. Default none. */
  constructor(prefix = '') {
    this.prefix = prefix
  }

  private tensor(dtype: Dtype, shape: Shape, name?: string): Tensor {
    const id = this.counter++
    return new Tensor(this, id, name ?? `${this.prefix}%${id}`, dtype, shape)
  }

  private addInput(kind: GraphInput['kind'], name: string, dtype: Dtype, shape: Shape): Tensor {
    if (this.inputs.has(name)) throw new InputError('GRAPH_NAME', `The graph has an input named ${name} already`)
    const tensor = this.tensor(dtype, shape, name)
    this.inputs.set(name, { tensor, kind })
    return tensor
  }

  /** A value fed at every run. Dimensions may be symbols: `['B', 'S', 384]`. */
  input(name: string, dtype: Dtype, shape: Shape): Tensor {
    return this.addInput('input', name, dtype, shape)
  }

  /** A weight: bound to a session once (`session.bind`) and shared by every session that has the same buffer. */
  parameter(name: string, shape: readonly number[], dtype: Dtype = 'float32'): Tensor {
    return this.addInput('parameter', name, dtype, shape)
  }

  /** Random bytes that the session fills from (seed, step, name) at every run. */
  randomBytes(name: string, shape: Shape): Tensor {
    return this.addInput('random', name, 'uint8', shape)
  }

  /** A value that never changes; equal small constants are stored once. */
  constant(
    values: number | readonly number[] | HostArray,
    shape: readonly number[] = [],
    dtype: Dtype = 'float32',
  ): Tensor {
    const data =
      typeof values === 'object' && ArrayBuffer.isView(values) ? values : hostArrayFrom(dtype, [values].flat())
    const key = data.length <= 64 ? `${dtype} ${shape.join()} ${bytesOf(data).join()}` : ''
    const known = this.constantOf.get(key)
    if (known) return known
    if (data.constructor !== hostArray(dtype, 0).constructor)
      throw new InputError('GRAPH_DTYPE', `Expected values of type ${dtype}, received a ${data.constructor.name}`)
    const expected = shape.reduce((a, b) => a * b, 1)
    if (data.length !== expected)
      throw new InputError(
        'GRAPH_SHAPE',
        `Expected ${expected} values for shape ${formatShape(shape)}, received ${data.length}`,
      )
    const tensor = this.tensor(dtype, shape)
    this.constants.set(tensor.name, { dtype, shape, data })
    if (key !== '') this.constantOf.set(key, tensor)
    return tensor
  }

  /** Appends an ONNX node. `vjp` makes it differentiable; see `differentiable` for operators of several nodes. */
  emit(
    op: string,
    inputs: readonly (Tensor | undefined)[],
    outputs: readonly OutputType[],
    options: { attributes?: Record<string, Attribute>; domain?: string; vjp?: Vjp } = {},
  ): Tensor[] {
    for (const input of inputs)
      if (input && input.graph !== this) throw new InputError('GRAPH_MIXED', `${op} mixes tensors of two graphs`)
    const made = outputs.map(({ dtype, shape }) => this.tensor(dtype, shape))
    this.nodes.push({
      op,
      domain: options.domain ?? '',
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs: made.map(({ name }) => name),
      attributes: options.attributes ?? {},
    })
    if (options.vjp) differentiable(inputs, made, options.vjp)
    return made
  }

  /** A 1-D int64 tensor that holds `shape`, computed from the fed sizes where it has symbols. */
  shapeVector(shape: Shape): Tensor {
    if (shape.every((dim) => typeof dim === 'number'))
      return this.constant(shape as readonly number[], [shape.length], 'int64')
    const key = shape.join()
    let vector = this.shapeVectors.get(key)
    if (!vector) {
      const type: OutputType = { dtype: 'int64', shape: [shape.length] }
      const parts = shape.map((dim) => this.dimension(dim))
      vector =
        parts.length === 1 ? parts[0]! : this.emit('Concat', parts, [type], { attributes: { axis: { int: 0 } } })[0]!
      this.shapeVectors.set(key, vector)
    }
    return vector
  }

  /** The size of one dimension as an int64 tensor of shape [1]. */
  private dimension(dim: Dim): Tensor {
    const key = `size ${dim}`
    let size = this.shapeVectors.get(key)
    if (size) return size
    const type: OutputType = { dtype: 'int64', shape: [1] }
    const factor = factorOf(dim)
    for (const symbol of symbolsOf(dim)) {
      const one = this.symbolSize(symbol)
      size = size ? this.emit('Mul', [size, one], [type])[0]! : one
    }
    if (!size) return this.constant([factor], [1], 'int64')
    if (factor !== 1) size = this.emit('Mul', [size, this.constant([factor], [1], 'int64')], [type])[0]!
    this.shapeVectors.set(key, size)
    return size
  }

  private symbolSize(symbol: string): Tensor {
    const key = `symbol ${symbol}`
    const known = this.shapeVectors.get(key)
    if (known) return known
    const sum = sumOf(symbol)
    if (sum) {
      const number = this.constant([sum.number], [1], 'int64')
      const size = this.emit('Add', [this.symbolSize(sum.symbol), number], [{ dtype: 'int64', shape: [1] }])[0]!
      this.shapeVectors.set(key, size)
      return size
    }
    for (const { tensor } of this.inputs.values()) {
      const axis = tensor.shape.indexOf(symbol)
      if (axis < 0) continue
      const attributes = { start: { int: axis }, end: { int: axis + 1 } }
      const size = this.emit('Shape', [tensor], [{ dtype: 'int64', shape: [1] }], { attributes })[0]!
      this.shapeVectors.set(key, size)
      return size
    }
    throw new InputError('GRAPH_DIM', `No input of the graph has the dimension ${symbol}`, {
      help: `give one input a dimension that is ${symbol} itself`,
    })
  }
}

/**
 * Says how gradients flow from `outputs` to `inputs`. An operator made of several nodes calls it on its last ones: the inner nodes keep
 * their own rules, which second derivatives use.
 */
export function differentiable(inputs: readonly (Tensor | undefined)[], outputs: readonly Tensor[], vjp: Vjp): void {
  const origin: Origin = { inputs, outputs, vjp }
  for (const output of outputs) if (isFloat(output.dtype)) output.origin = origin
}

/** The one dtype of tensors that an operator combines. @throws InputError `GRAPH_DTYPE` */
export function commonDtype(op: string, ...tensors: Tensor[]): Dtype {
  const dtype = tensors[0]!.dtype
  for (const tensor of tensors)
    if (tensor.dtype !== dtype)
      throw new InputError('GRAPH_DTYPE', `${op} expected tensors of one type, received ${dtype} and ${tensor.dtype}`, {
        help: 'cast one of them',
      })
  return dtype
}
