/** Options that both forms of DELLA share. */
import { notNegative, perModel } from '../merge-method.ts'

/** Half the width of the range of chances (default 0.15). */
export const epsilon = perModel(notNegative, 0.15)

/** A message unless all chances lie strictly between 0 and 1. */
export function checkChances({
  density,
  epsilon,
}: {
  density: readonly number[]
  epsilon: readonly number[]
}): string | undefined {
  const fault = density.findIndex(
    (share, t) => share > 0 && share < 1 && (share + epsilon[t]! >= 1 || share - epsilon[t]! <= 0),
  )
  return fault < 0
    ? undefined
    : `Expected density - epsilon and density + epsilon between 0 and 1, received density ${density[fault]} and epsilon ${epsilon[fault]}`
}
