/**
 * Loops over the first axis (ONNX Scan): a body of operators is repeated, carrying state. The body is a graph of its own; it has no derivative of
 * its own either: an operator that is made of a loop says how gradients flow by another loop (see gru.ts).
 */
import { InputError } from '../../util/errors.ts'
import { Graph, type Tensor } from '../graph.ts'
import { formatShape, sameShape } from '../shape.ts'

export interface ScanStep {
  /** The next state of each state, of the same shape. */
  readonly states: readonly Tensor[]
  /** What is kept of every step. */
  readonly outputs: readonly Tensor[]
}

/**
 * Repeats `body` for every slice of `inputs` along their first axis.
 * @param initial states before the first step.
 * @param inputs of one length, [S, ...] each; the body sees one slice, [...].
 * @param captured values that every step reads as they are.
 * @param reverse from the last slice to the first; what is kept of step s still stands at s.
 * @returns the last states, and what was kept, [S, ...] each.
 * @throws InputError `GRAPH_SHAPE` if a state changes its shape, or inputs differ in length.
 */
export function scan(
  initial: readonly Tensor[],
  inputs: readonly Tensor[],
  captured: readonly Tensor[],
  body: (states: readonly Tensor[], slices: readonly Tensor[], captured: readonly Tensor[]) => ScanStep,
  { reverse = false } = {},
): { states: Tensor[]; outputs: Tensor[] } {
  const { graph } = inputs[0]!
  const length = inputs[0]!.shape[0]!
  for (const { shape } of inputs)
    if (shape[0] !== length)
      throw new InputError('GRAPH_SHAPE', `Expected slices along ${length}, received shape ${formatShape(shape)}`)
  const inner = new Graph(`scan${graph.nodes.length}.`)
  const states = initial.map(({ dtype, shape }, i) => inner.input(`scan${graph.nodes.length}.state${i}`, dtype, shape))
  const slices = inputs.map(({ dtype, shape }, i) =>
    inner.input(`scan${graph.nodes.length}.slice${i}`, dtype, shape.slice(1)),
  )
  const outer = captured.map(({ name, dtype, shape }) => inner.input(name, dtype, shape))
  const step = body(states, slices, outer)
  for (const [i, next] of step.states.entries())
    if (!sameShape(next.shape, states[i]!.shape))
      throw new InputError(
        'GRAPH_SHAPE',
        `A state of shape ${formatShape(states[i]!.shape)} became one of shape ${formatShape(next.shape)}`,
      )
  // Every output needs a node of its own that makes it.
  const taken = new Set(inner.inputs.keys())
  const made = [...step.states, ...step.outputs].map((tensor) => {
    const own = taken.has(tensor.name)
      ? inner.emit('Identity', [tensor], [{ dtype: tensor.dtype, shape: tensor.shape }])[0]!
      : tensor
    taken.add(own.name)
    return own
  })
  const directions = (count: number) => ({ ints: new Array<number>(count).fill(reverse ? 1 : 0) })
  const kept = step.outputs.map(({ dtype, shape }) => ({ dtype, shape: [length, ...shape] }))
  const found = graph.emit(
    'Scan',
    [...initial, ...inputs],
    [...initial.map(({ dtype, shape }) => ({ dtype, shape })), ...kept],
    {
      attributes: {
        body: {
          graph: {
            graph: inner,
            inputs: [...states, ...slices],
            outputs: made,
            captured: captured.map(({ name }) => name),
          },
        },
        num_scan_inputs: { int: inputs.length },
        scan_input_directions: directions(inputs.length),
        scan_output_directions: directions(kept.length),
      },
    },
  )
  return { states: found.slice(0, initial.length), outputs: found.slice(initial.length) }
}
