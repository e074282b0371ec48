/** Which experts of a layer are merged with which: around the most used ones (M-SMoE; Li et al., 2024), or by clusters (Sub-MoE; Li et al., 2025). */
import { kMeans } from '../../tensor/k-means.ts'
import { InputError } from '../../util/errors.ts'
import { cosine } from './expert.ts'

/** The group of each expert, 0 to the number of groups - 1, and the expert that stands for each group. */
export interface ExpertGroups {
  readonly groupOf: readonly number[]
  readonly cores: readonly number[]
}

/**
 * The `count` most used experts, each with the other experts that are most similar to it.
 * @param vectors of each expert what similarity is measured on, by cosine: its column of router logits, its row of the router, its weights.
 */
export function groupAroundDominant(
  usage: readonly number[],
  vectors: readonly ArrayLike<number>[],
  count: number,
): ExpertGroups {
  checkCount(count, usage.length)
  const cores = [...usage.keys()].sort((a, b) => usage[b]! - usage[a]! || a - b).slice(0, count)
  return groupAround(cores, vectors)
}

/** Without usage: each further core is the expert that is least like the cores so far, from the one with the largest vector on. */
export function groupAroundDistinct(vectors: readonly ArrayLike<number>[], count: number): ExpertGroups {
  checkCount(count, vectors.length)
  const norms = vectors.map((vector) => Array.from(vector).reduce((sum, x) => sum + x * x, 0))
  const cores = [norms.indexOf(Math.max(...norms))]
  while (cores.length < count) {
    const nearness = vectors.map((vector, e) =>
      cores.includes(e) ? Number.POSITIVE_INFINITY : Math.max(...cores.map((core) => cosine(vector, vectors[core]!))),
    )
    cores.push(nearness.indexOf(Math.min(...nearness)))
  }
  return groupAround(cores, vectors)
}

function groupAround(chosen: readonly number[], vectors: readonly ArrayLike<number>[]): ExpertGroups {
  const cores = [...chosen].sort((a, b) => a - b)
  const groupOf = vectors.map((vector, e) => {
    if (cores.includes(e)) return cores.indexOf(e)
    const likeness = cores.map((core) => cosine(vector, vectors[core]!))
    return likeness.indexOf(Math.max(...likeness))
  })
  return { groupOf, cores }
}

/** Clusters of unit vectors; the core of a cluster is its most used expert. */
export function groupByClusters(
  usage: readonly number[],
  vectors: readonly ArrayLike<number>[],
  count: number,
  seed: number,
): ExpertGroups {
  checkCount(count, vectors.length)
  const unit = vectors.map((vector) => {
    const norm = Math.sqrt(Array.from(vector).reduce((sum, x) => sum + x * x, 0)) || 1
    return Float64Array.from(vector, (x) => x / norm)
  })
  const groupOf = Array.from(kMeans(unit, count, { seed }).clusters)
  const cores = Array.from({ length: count }, (_, g) =>
    groupOf.reduce((core, group, e) => (group === g && (core < 0 || usage[e]! > usage[core]!) ? e : core), -1),
  )
  return { groupOf, cores }
}

function checkCount(count: number, experts: number): void {
  if (!Number.isInteger(count) || count < 1 || count > experts)
    throw new InputError('OPTION_RANGE', `Expected 1 to ${experts} experts to stay, received ${count}`, {
      where: { key: 'experts' },
    })
}
