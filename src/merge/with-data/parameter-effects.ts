/**
 * What a part of a fine-tuned model's change does for its task: restored to the base, how much the loss rises (Kong et al., "Activated Parameter
 * Locating via Causal Intervention for Model Merging", 2024). Exactly, by one evaluation for each part, or for all parts at once by gradients: the
 * effect of a part is about -<gradient, change>, with the gradient at the fine-tuned weights or averaged along the way from the base to them.
 */

/** Values by name; what is measured is defined on these. */
export type Named = ReadonlyMap<string, ArrayLike<number>>

/** The loss of a task, as a function of the weights. */
export interface Landscape {
  loss(weights: Map<string, Float32Array>): Promise<number>
  gradient(weights: Map<string, Float32Array>): Promise<Map<string, Float64Array>>
}

/** A part of the change: elements `start` to `end` of a tensor. */
export interface Part {
  readonly name: string
  readonly start: number
  readonly end: number
}

/** How finely changes are looked at: whole tensors, or rows of matrices (other tensors are one part). */
export function partsOf(shapes: ReadonlyMap<string, readonly number[]>, granularity: 'tensor' | 'row'): Part[] {
  return Array.from(shapes).flatMap(([name, shape]) => {
    const length = shape.reduce((product, size) => product * size, 1)
    const rows = granularity === 'row' && shape.length > 1 ? shape[0]! : 1
    const width = length / rows
    return Array.from({ length: rows }, (_, row) => ({ name, start: row * width, end: (row + 1) * width }))
  })
}

/** The point base + share * (model - base), as weights. */
export function between(base: Named, model: Named, share: number): Map<string, Float32Array> {
  return new Map(
    Array.from(base, ([name, origin]) => {
      const theta = model.get(name)!
      return [name, Float32Array.from(origin, (x, i) => x + share * (theta[i]! - x))]
    }),
  )
}

/**
 * The effect of each element by gradients: minus gradient times change.
 * @param points shares of the way from the base at which gradients are taken and averaged: [1] is the fine-tuned model; [0, 0.25, 0.5, 0.75, 1] the path.
 */
export async function gradientEffects(
  landscape: Landscape,
  base: Named,
  model: Named,
  points: readonly number[],
): Promise<Map<string, Float64Array>> {
  const effects = new Map(Array.from(base, ([name, { length }]) => [name, new Float64Array(length)]))
  for (const share of points) {
    const gradient = await landscape.gradient(between(base, model, share))
    for (const [name, effect] of effects) {
      const [g, origin, theta] = [gradient.get(name)!, base.get(name)!, model.get(name)!]
      for (let i = 0; i < effect.length; i++) effect[i]! -= (g[i]! * (theta[i]! - origin[i]!)) / points.length
    }
  }
  return effects
}

/** The sum of element effects over each part. */
export const partEffects = (effects: ReadonlyMap<string, Float64Array>, parts: readonly Part[]): Float64Array =>
  Float64Array.from(parts, ({ name, start, end }) =>
    effects
      .get(name)!
      .subarray(start, end)
      .reduce((a, b) => a + b, 0),
  )

/** The effect of each part as it is: the loss with the part restored to the base, less the loss of the fine-tuned model. */
export async function interventionEffects(
  landscape: Landscape,
  base: Named,
  model: Named,
  parts: readonly Part[],
  onPart?: (done: number) => void,
): Promise<Float64Array> {
  const weights = between(base, model, 1)
  const before = await landscape.loss(weights)
  const effects = new Float64Array(parts.length)
  for (const [k, { name, start, end }] of parts.entries()) {
    const values = weights.get(name)!
    const kept = values.slice(start, end)
    for (let i = start; i < end; i++) values[i] = base.get(name)![i]!
    effects[k] = (await landscape.loss(weights)) - before
    values.set(kept, start)
    onPart?.(k + 1)
  }
  return effects
}

/**
 * Which elements of the change are kept: those with the greatest scores, this share of all. Equal scores, such as the zeros of tokens that no text
 * has, go by the size of the change, and then by their order.
 */
export function keepTop(
  scores: ReadonlyMap<string, ArrayLike<number>>,
  sizes: ReadonlyMap<string, ArrayLike<number>>,
  density: number,
): Map<string, Uint8Array> {
  const names = [...scores.keys()]
  const total = names.reduce((sum, name) => sum + scores.get(name)!.length, 0)
  const all = new Float64Array(total)
  let at = 0
  for (const name of names) {
    all.set(scores.get(name)!, at)
    at += scores.get(name)!.length
  }
  const count = Math.floor(density * total + 1e-9)
  const masks = new Map(names.map((name) => [name, new Uint8Array(scores.get(name)!.length)]))
  if (count === 0) return masks
  const threshold = all.slice().sort()[total - count]!
  // Elements above the threshold are in; of those at it, the ones that changed most.
  const tied: { name: string; index: number; size: number }[] = []
  let kept = 0
  for (const name of names) {
    const [score, mask, size] = [scores.get(name)!, masks.get(name)!, sizes.get(name)!]
    for (let i = 0; i < mask.length; i++) {
      if (score[i]! > threshold) {
        mask[i] = 1
        kept++
      } else if (score[i]! === threshold) tied.push({ name, index: i, size: Math.abs(size[i]!) })
    }
  }
  tied.sort((a, b) => b.size - a.size)
  for (const { name, index } of tied.slice(0, count - kept)) masks.get(name)![index] = 1
  return masks
}
