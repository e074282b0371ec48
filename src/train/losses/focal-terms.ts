/** The focal loss on the graph, see focal.ts. */
import { add, exp, logSoftmax, maximum, mul, neg, pow, reduceSum, softplus, sub } from '../../graph/index.ts'
import type { LossTerms } from './terms.ts'

/** A power below 1 of 0 has no slope. */
const least = 1e-7

export const focalTerms = ({ gamma, alpha }: { gamma: number; alpha?: number | undefined }): LossTerms => ({
  softmax(z, target) {
    const logs = logSoftmax(z)
    const doubt = pow(maximum(sub(1, exp(logs)), least), gamma)
    return neg(reduceSum(mul(target, mul(doubt, logs))))
  },
  sigmoid(z, target, weight) {
    // With s = softplus: -ln p = s(-z), 1 - p = exp(-s(z)).
    const [no, yes] = [softplus(z), softplus(neg(z))]
    const right = mul(mul(target, mul(exp(mul(no, -gamma)), yes)), alpha ?? 1)
    const wrong = mul(mul(sub(1, target), mul(exp(mul(yes, -gamma)), no)), alpha === undefined ? 1 : 1 - alpha)
    return reduceSum(mul(weight, add(right, wrong)))
  },
})
