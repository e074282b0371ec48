/** Layer Swapping (Bandarkar et al., 2024): the outer layers of one expert, the middle layers of another. */
import * as v from 'valibot'
import type { LayerPlace } from '../engine/tensor-task.ts'
import { anyNumber, defineMergeMethod, shared } from '../merge-method.ts'

const layers = v.pipe(
  anyNumber,
  v.integer('Expected a whole number of layers'),
  v.minValue(0, 'Expected at least 0 layers'),
)

/**
 * Takes `bottom` first and `top` last layers from the model (the expert whose outer layers matter, such as a language), the rest from the
 * base (the task expert); between them `bottomTransition` and `topTransition` layers are the mean of both. Embeddings go with the bottom if
 * `bottom` is above 0; heads, the final norm and the output embedding stay with the base.
 *
 * Defaults, meant for 32 layers: bottom 5, top 2, transitions 1. Where zones overlap the outer one counts.
 * @example
 * await merge(['language'], { base: 'task', method: layerSwap({ bottom: 5, top: 2 }), out: 'merged' })
 */
export const layerSwap = defineMergeMethod({
  info: {
    name: 'layer-swap',
    summary: "Takes the outer layers of a second model; gives a task expert another expert's language.",
    source: 'Bandarkar et al., "Layer Swapping for Zero-Shot Cross-Lingual Transfer", 2024',
    status: 'works',
    results: 'docs/results/layer-swap.md',
  },
  base: 'required',
  models: { least: 1, most: 1 },
  options: {
    bottom: shared(layers, 5),
    top: shared(layers, 2),
    bottomTransition: shared(layers, 1),
    topTransition: shared(layers, 1),
  },
  merge(task, options) {
    const share = swapShare(task.layer, options)
    for (const block of task.blocks()) {
      const sum = block.zeros('sum')
      if (share > 0) block.addTheta(sum, 0, share)
      if (share < 1) task.kernels.addScaled(sum, block.base(), 1 - share)
      block.write(sum)
    }
  },
})

/** The second model's share: 1 in the outer layers, 1/2 in the transitions, 0 in the middle. */
export function swapShare(
  layer: LayerPlace,
  zones: { bottom: number; top: number; bottomTransition: number; topTransition: number },
): number {
  const { bottom, top, bottomTransition, topTransition } = zones
  if (layer === 'before') return bottom > 0 ? 1 : 0
  if (layer === 'after') return 0
  const { index, count } = layer
  const fromTop = count - 1 - index
  if (index < bottom || fromTop < top) return 1
  if (index < bottom + bottomTransition || fromTop < top + topTransition) return 0.5
  return 0
}
