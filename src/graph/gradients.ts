/** Reverse-mode differentiation: walks back from a value and adds the nodes that compute its gradients (Linnainmaa, 1970). */
import { InputError } from '../util/errors.ts'
import type { Tensor } from './graph.ts'
import { add } from './ops/elementwise.ts'
import { formatShape, sameShape } from './shape.ts'

/**
 * Gradients of `value` with respect to each tensor of `wrt`, as tensors of the same graph; they can be differentiated again.
 * Only tensors on a path between the two get gradient nodes, so weights that are left out of `wrt` (frozen) cost nothing.
 * @param seed gradient of the final objective with respect to `value`, of the same shape; by default 1 for a scalar value.
 * @throws InputError `GRADIENT_NONE` if `value` does not depend on one of them, `GRADIENT_SCALAR` if it is not a scalar and has no seed.
 */
export function gradients(value: Tensor, wrt: readonly Tensor[], seed?: Tensor): Tensor[] {
  if (!seed && !value.shape.every((dim) => dim === 1))
    throw new InputError(
      'GRADIENT_SCALAR',
      `Expected a scalar to differentiate, received shape ${formatShape(value.shape)}`,
      {
        help: 'reduce it first, or pass the seed gradient',
      },
    )
  const wanted = new Set(wrt)
  const depends = dependence(wanted)
  const gradientOf = new Map<Tensor, Tensor>()
  if (depends(value))
    gradientOf.set(value, seed ?? value.graph.constant(1, value.shape as readonly number[], value.dtype))
  // Values in descending order of creation: when one is reached, everything that was computed from it has been.
  const queue = new Set<Tensor>([value])
  while (queue.size > 0) {
    let last: Tensor | undefined
    for (const tensor of queue) if (!last || tensor.id > last.id) last = tensor
    queue.delete(last!)
    const origin = last!.origin
    if (!origin || !depends(last!)) continue
    for (const output of origin.outputs) queue.delete(output)
    const incoming = origin.vjp(origin.outputs.map((output) => gradientOf.get(output)))
    for (const [index, input] of origin.inputs.entries()) {
      const gradient = incoming[index]
      if (!gradient || !input || !depends(input)) continue
      if (!sameShape(gradient.shape, input.shape))
        throw new InputError(
          'GRAPH_SHAPE',
          `A gradient of shape ${formatShape(gradient.shape)} reached a tensor of shape ${formatShape(input.shape)}`,
        )
      const sum = gradientOf.get(input)
      gradientOf.set(input, sum ? add(sum, gradient) : gradient)
      if (input.origin) queue.add(input)
    }
  }
  return wrt.map((tensor) => {
    const gradient = gradientOf.get(tensor)
    if (!gradient)
      throw new InputError('GRADIENT_NONE', `The value does not depend on ${tensor.name}`, {
        help: 'leave it out of the tensors to differentiate by',
      })
    return gradient
  })
}

/** Whether a tensor was computed from one of `wanted` along differentiable operators; remembers what it has seen. */
function dependence(wanted: ReadonlySet<Tensor>): (tensor: Tensor) => boolean {
  const known = new Map<Tensor, boolean>()
  const depends = (start: Tensor): boolean => {
    const stack = [start]
    while (stack.length > 0) {
      const tensor = stack.at(-1)!
      if (known.has(tensor)) stack.pop()
      else if (wanted.has(tensor)) known.set(tensor, true)
      else {
        const inputs = (tensor.origin?.inputs ?? []).filter((input) => input !== undefined)
        const open = inputs.filter((input) => !known.has(input))
        if (open.length > 0) stack.push(...open)
        else
          known.set(
            tensor,
            inputs.some((input) => known.get(input)!),
          )
      }
    }
    return known.get(start)!
  }
  return depends
}
