/** Spherical linear interpolation (Shoemake, 1985) between two models, tensor by tensor. */
import { gramMatrix, sphericalWeights, writeCombination } from '../elements/gram.ts'
import { defineMergeMethod, share, shared } from '../merge-method.ts'

/**
 * Walks the great circle from the base (`t` = 0) to the other model (`t` = 1), each tensor taken as one vector; a straight line where the
 * angle between them is too small (|cosine| above 0.9995).
 *
 * `t` is required; a gradient or conditions give each layer its own.
 * @example
 * await merge(['b'], { base: 'a', method: slerp({ t: [0, 0.5, 1] }), out: 'merged' })
 */
export const slerp = defineMergeMethod({
  info: {
    name: 'slerp',
    summary: 'Interpolates between two models on the sphere, so that norms are kept.',
    source: 'Shoemake, "Animating Rotation with Quaternion Curves", 1985',
    status: 'works',
  },
  base: 'required',
  models: { least: 1, most: 1 },
  passes: 2,
  options: { t: shared(share) },
  merge(task, { t }) {
    const gram = gramMatrix(task, 2, (block) => [block.base(), block.theta(0)])
    const norm = (i: number) => {
      const length = Math.sqrt(gram[i]![i]!)
      return length > 1e-8 ? length : 1
    }
    const cosine = gram[0]![1]! / (norm(0) * norm(1))
    const [first, second] = sphericalWeights(t, cosine, Math.abs(cosine) > 0.9995)
    writeCombination(task, [second], first)
  },
})
