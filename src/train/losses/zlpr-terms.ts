/** ZLPR on the graph, see zlpr.ts. */
import {
  add,
  cast,
  concat,
  greater,
  logSoftmax,
  mul,
  neg,
  reduceSum,
  reshape,
  slice,
  sub,
  type Tensor,
} from '../../graph/index.ts'
import type { LossTerms } from './terms.ts'

const absent = 1e9

export const zlprTerms: LossTerms = {
  sigmoid(z, target, weight) {
    const asked = cast(greater(weight, 0), 'float32')
    const right = mul(asked, cast(greater(target, 0.5), 'float32'))
    const wrong = sub(asked, right)
    const cost = add(logOnePlusSum(z, wrong), logOnePlusSum(neg(z), right))
    return reduceSum(mul(reduceSum(weight, [1]), cost))
  },
}

/** ln(1 + sum of e^x where `among` is 1), per row: minus the log softmax of a 0 that stands beside them. */
function logOnePlusSum(x: Tensor, among: Tensor): Tensor {
  const [rows, units] = x.shape as [Tensor['shape'][number], number]
  const kept = add(mul(x, among), mul(sub(among, 1), absent))
  const zero = mul(slice(x, 1, 0, 1), 0)
  return neg(reshape(slice(logSoftmax(concat([kept, zero], 1)), 1, units, 1), [rows]))
}
