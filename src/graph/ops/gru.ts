/**
 * The gated recurrent unit (Cho et al., 2014) over sequences, with gates in the order and form of PyTorch: reset r, update z, candidate n, and the reset
 * gate behind the recurrent product. Gradients by a second loop from the last step to the first.
 */
import { differentiable, type Tensor } from '../graph.ts'
import { multiplyDims } from '../shape.ts'
import { add, mul, sigmoid, sub, tanh } from './elementwise.ts'
import { concat, slice } from './indexing.ts'
import { matmul } from './matmul.ts'
import { expand, reduceSum, reshape } from './reduce.ts'
import { scan } from './scan.ts'

/**
 * States of a GRU at every step; where the mask is 0 the state stays as it was, so that padding is passed over in both directions.
 * @param gates what each step's input gives to the gates, its bias included, [S, B, 3 * size], in the order r, z, n.
 * @param mask 1 for tokens, 0 for padding, [S, B, 1]; carries no gradient.
 * @param weight of the state, [3 * size, size]; `bias` [3 * size].
 * @param reverse from the last step to the first.
 * @returns [S, B, size]. Once differentiable: gradients of its gradients are not defined.
 */
export function gru(gates: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, { reverse = false } = {}): Tensor {
  const [length, rows] = [gates.shape[0]!, gates.shape[1]!]
  const size = weight.shape[1] as number
  const start = expand(gates.graph.constant(0, [1, 1], gates.dtype), [rows, size])
  const third = (x: Tensor, i: number) => slice(x, x.rank - 1, i * size, size)
  const forward = scan(
    [start],
    [gates, mask],
    [weight, bias],
    ([h], [x, m], [w, b]) => {
      const own = add(matmul(h!, w!, { transB: true }), b!)
      const r = sigmoid(add(third(x!, 0), third(own, 0)))
      const z = sigmoid(add(third(x!, 1), third(own, 1)))
      const candidate = third(own, 2)
      const n = tanh(add(third(x!, 2), mul(r, candidate)))
      const next = add(n, mul(z, sub(h!, n)))
      const state = add(h!, mul(m!, sub(next, h!)))
      return { states: [state], outputs: [state, h!, r, z, n, candidate] }
    },
    { reverse },
  )
  const [states, before, r, z, n, candidate] = forward.outputs as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
  differentiable([gates, undefined, weight, bias], [states], ([dy]) => {
    // What a state's gradient is multiplied by on its way into each gate does not depend on the gradient: made for all steps at once.
    const intoN = mul(mask, mul(sub(1, z), sub(1, mul(n, n))))
    const intoZ = mul(mask, mul(sub(before, n), mul(z, sub(1, z))))
    const ofR = mul(candidate, mul(r, sub(1, r)))
    const kept = add(sub(1, mask), mul(mask, z))
    const { outputs } = scan(
      [start],
      [dy!, intoN, intoZ, ofR, kept, r],
      [weight],
      ([carried], [own, toN, toZ, fromR, keeps, reset], [w]) => {
        const d = add(carried!, own!)
        const dn = mul(d, toN!)
        const dz = mul(d, toZ!)
        const dr = mul(dn, fromR!)
        const recurrent = concat([dr, dz, mul(dn, reset!)], 1)
        return {
          states: [add(mul(d, keeps!), matmul(recurrent, w!))],
          outputs: [concat([dr, dz, dn], 1), recurrent],
        }
      },
      { reverse: !reverse },
    )
    const [dGates, dRecurrent] = outputs as [Tensor, Tensor]
    const flat = (x: Tensor, width: number) => reshape(x, [multiplyDims(length, rows), width])
    return [
      dGates,
      undefined,
      matmul(flat(dRecurrent, 3 * size), flat(before, size), { transA: true }),
      reduceSum(dRecurrent, [0, 1]),
    ]
  })
  return states
}
