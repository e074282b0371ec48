/** Settings that give every model its own weight in each group of layers, as conditions on tensor names. */
import { backbonePrefix, isBeforeLayers, layerOf, withoutPrefix } from '../plan/tensor-names.ts'
import type { Condition } from '../settings.ts'

/** The group of a tensor by its place in the model: the embeddings, its layer, or what follows the layers. */
export function layerGroup(tensor: string): string {
  const layer = layerOf(tensor)
  if (layer) return `${layer.stack}.${layer.index}.`
  return isBeforeLayers(tensor) ? 'embeddings' : 'after the layers'
}

/** The names of tensors without their model's prefix: models may have it or not. */
export function bareNames(names: readonly string[]): string[] {
  const prefix = backbonePrefix(names)
  return names.map((name) => withoutPrefix(name, prefix))
}

/**
 * The value of each tensor's group as conditions. A group whose name is part of its tensors' names and of no other's is one condition, the
 * tensors of other groups have one each: groups come first, longer names before shorter ones that they hold.
 */
export function groupConditions(
  names: readonly string[],
  group: (tensor: string) => string,
  values: ReadonlyMap<string, number>,
): Condition<number>[] {
  const whole: Condition<number>[] = []
  const single: { filter: string; value: number }[] = []
  for (const [name, value] of values) {
    const members = names.filter((tensor) => group(tensor) === name)
    if (names.every((tensor) => tensor.includes(name) === members.includes(tensor))) whole.push({ filter: name, value })
    else for (const filter of members) single.push({ filter, value })
  }
  return [...whole, ...single.sort((a, b) => b.filter.length - a.filter.length)]
}
