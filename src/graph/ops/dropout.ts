/**
 * Dropout (Srivastava et al., 2014) from random bytes that the host feeds: a byte below the threshold drops its element. The rate is
 * therefore a multiple of 1/256, and kept elements are scaled by the exact inverse, so the expectation is unchanged.
 */
import { InputError } from '../../util/errors.ts'
import type { Tensor } from '../graph.ts'
import { cast, greaterOrEqual, mul } from './elementwise.ts'

/**
 * Drops elements at random while training.
 * @param rate chance of each element to become 0, in [0, 1); rounded to a multiple of 1/256. 0 adds no nodes.
 * @param name key of the random bytes: unlike names draw unlike bytes, and the same (seed, step, name) the same ones.
 */
export function dropout(x: Tensor, rate: number, name: string): Tensor {
  if (!(rate >= 0 && rate < 1))
    throw new InputError('DROPOUT_RATE', `Expected a dropout rate in [0, 1), received ${rate}`)
  const threshold = Math.min(255, Math.round(rate * 256))
  if (threshold === 0) return x
  const bytes = x.graph.randomBytes(`dropout ${name}`, x.shape)
  const keep = cast(greaterOrEqual(bytes, threshold), x.dtype)
  return mul(x, mul(keep, 256 / (256 - threshold)))
}
