/** Writes (a part of) a graph as an ONNX file: the nodes that the outputs need, constants and, on export, weights as initialisers. */
import { InputError } from '../util/errors.ts'
import { bytesOf, type Dtype, type HostArray, onnxDtype } from './dtype.ts'
import type { Attribute, Graph, GraphInput, OnnxNode, Subgraph, Tensor } from './graph.ts'
import { ProtoWriter } from './proto.ts'
import { formatShape, type Shape } from './shape.ts'

const irVersion = 10
const opset = 20

/** The nodes and inputs that some outputs need, in order, with the outputs under the names they were asked for. */
export interface Program {
  readonly nodes: readonly OnnxNode[]
  readonly inputs: readonly GraphInput[]
  readonly constants: readonly string[]
  readonly outputs: ReadonlyMap<string, Tensor>
}

/**
 * Cuts a graph down to what `outputs` need. The node that makes an output is renamed; only inputs, constants and values that are asked for twice
 * go through an Identity node, which copies.
 * @throws InputError `GRAPH_NAME` if an output is named like an input.
 */
export function program(graph: Graph, outputs: Readonly<Record<string, Tensor>>): Program {
  const renamed = new Map<string, string>()
  for (const [name, tensor] of Object.entries(outputs)) {
    if (tensor.graph !== graph) throw new InputError('GRAPH_MIXED', `Output ${name} belongs to another graph`)
    if (graph.inputs.has(name)) throw new InputError('GRAPH_NAME', `Output ${name} is named like an input of the graph`)
    const taken = renamed.has(tensor.name) || graph.inputs.has(tensor.name) || graph.constants.has(tensor.name)
    const made = taken ? graph.emit('Identity', [tensor], [{ dtype: tensor.dtype, shape: tensor.shape }])[0]! : tensor
    renamed.set(made.name, name)
  }
  const needed = new Set(renamed.keys())
  const nodes: OnnxNode[] = []
  const rename = (name: string) => renamed.get(name) ?? name
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue
    nodes.push({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) })
    for (const name of [...node.inputs, ...capturedBy(node)]) if (name !== '') needed.add(name)
  }
  return {
    nodes: nodes.reverse(),
    inputs: [...graph.inputs.values()].filter(({ tensor }) => needed.has(tensor.name)),
    constants: [...graph.constants.keys()].filter((name) => needed.has(name)),
    outputs: new Map(Object.entries(outputs)),
  }
}

/** Values that the graphs inside a node read. */
function capturedBy({ attributes }: OnnxNode): string[] {
  return Object.values(attributes).flatMap((value) => ('graph' in value ? [...value.graph.captured] : []))
}

/**
 * The bytes of an ONNX model.
 * @param weights parameters to store in the file; the others stay inputs.
 * @throws InputError `EXPORT_SHAPE` if a weight has not as many values as its shape.
 */
export function encodeOnnx(
  graph: Graph,
  part: Program,
  weights: ReadonlyMap<string, HostArray> = new Map(),
): Uint8Array {
  const body = new ProtoWriter()
  for (const node of part.nodes) body.message(1, encodeNode(node))
  body.string(2, 'espalier')
  for (const name of part.constants) {
    const { dtype, shape, data } = graph.constants.get(name)!
    body.message(5, encodeTensor(name, dtype, shape, data))
  }
  const free: GraphInput[] = []
  for (const input of part.inputs) {
    const data = weights.get(input.tensor.name)
    if (!data) free.push(input)
    else {
      const { name, dtype, shape } = input.tensor
      const size = shape.reduce<number>((product, dim) => product * Number(dim), 1)
      if (data.length !== size)
        throw new InputError(
          'EXPORT_SHAPE',
          `Expected ${size} values of shape ${formatShape(shape)}, received ${data.length}`,
          {
            where: { tensor: name },
          },
        )
      body.message(5, encodeTensor(name, dtype, shape as readonly number[], data))
    }
  }
  for (const { tensor } of free) body.message(11, encodeValue(tensor.name, tensor.dtype, tensor.shape))
  for (const [name, { dtype, shape }] of part.outputs) body.message(12, encodeValue(name, dtype, shape))
  const model = new ProtoWriter().int(1, irVersion).string(2, 'espalier').message(7, body)
  model.message(8, new ProtoWriter().string(1, '').int(2, opset))
  model.message(8, new ProtoWriter().string(1, 'com.microsoft').int(2, 1))
  return model.finish()
}

function encodeNode(node: OnnxNode): ProtoWriter {
  const out = new ProtoWriter()
  for (const name of node.inputs) out.string(1, name)
  for (const name of node.outputs) out.string(2, name)
  out.string(4, node.op)
  for (const [name, value] of Object.entries(node.attributes)) out.message(5, encodeAttribute(name, value))
  return node.domain === '' ? out : out.string(7, node.domain)
}

function encodeAttribute(name: string, value: Attribute): ProtoWriter {
  const out = new ProtoWriter().string(1, name)
  if ('float' in value) return out.float(2, value.float).int(20, 1)
  if ('int' in value) return out.int(3, value.int).int(20, 2)
  if ('graph' in value) return out.message(6, encodeSubgraph(value.graph)).int(20, 5)
  if ('string' in value) return out.string(4, value.string).int(20, 3)
  for (const item of value.ints) out.int(8, item)
  return out.int(20, 7)
}

function encodeSubgraph({ graph, inputs, outputs }: Subgraph): ProtoWriter {
  const body = new ProtoWriter()
  for (const node of graph.nodes) body.message(1, encodeNode(node))
  body.string(2, 'body')
  for (const [name, { dtype, shape, data }] of graph.constants) body.message(5, encodeTensor(name, dtype, shape, data))
  for (const { name, dtype, shape } of inputs) body.message(11, encodeValue(name, dtype, shape))
  for (const { name, dtype, shape } of outputs) body.message(12, encodeValue(name, dtype, shape))
  return body
}

function encodeTensor(name: string, dtype: Dtype, shape: readonly number[], data: HostArray): ProtoWriter {
  const out = new ProtoWriter()
  for (const size of shape) out.int(1, size)
  return out.int(2, onnxDtype[dtype]).string(8, name).bytes(9, bytesOf(data))
}

function encodeValue(name: string, dtype: Dtype, shape: Shape): ProtoWriter {
  const dims = new ProtoWriter()
  for (const dim of shape)
    dims.message(1, typeof dim === 'number' ? new ProtoWriter().int(1, dim) : new ProtoWriter().string(2, dim))
  const type = new ProtoWriter().message(1, new ProtoWriter().int(1, onnxDtype[dtype]).message(2, dims))
  return new ProtoWriter().string(1, name).message(2, type)
}
