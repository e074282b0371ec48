/** The asymmetric loss on the graph, see asymmetric.ts. */
import {
  add,
  exp,
  log,
  maximum,
  mul,
  neg,
  pow,
  reduceSum,
  sigmoid,
  softplus,
  sub,
  type Tensor,
} from '../../graph/index.ts'
import type { LossTerms } from './terms.ts'

const least = 1e-8

export const asymmetricTerms = (options: {
  gammaPositive: number
  gammaNegative: number
  shift: number
}): LossTerms => ({
  sigmoid(z, target, weight) {
    const { gammaPositive, gammaNegative, shift } = options
    const [no, yes] = [softplus(z), softplus(neg(z))]
    const right = mul(target, mul(exp(mul(no, -gammaPositive)), yes))
    const wrong = mul(sub(1, target), wrongCost(z, no, yes, gammaNegative, shift))
    return reduceSum(mul(weight, add(right, wrong)))
  },
})

function wrongCost(z: Tensor, no: Tensor, yes: Tensor, gamma: number, shift: number): Tensor {
  if (shift === 0) return mul(exp(mul(yes, -gamma)), no)
  const q = maximum(sub(sigmoid(z), shift), 0)
  return neg(mul(pow(maximum(q, least), gamma), log(sub(1, q))))
}
