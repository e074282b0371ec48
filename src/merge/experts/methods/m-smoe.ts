/**
 * M-SMoE and MC-SMoE (Li et al., 2024): experts are merged around the most used ones, guided by the router, with their neurons matched first; what
 * is merged can then be compressed into a product of low rank and a sparse rest.
 */
import * as v from 'valibot'
import { type Matrix, type MatrixKernels, matrix } from '../../../tensor/linear-algebra/index.ts'
import { alignExpert, averageExperts, averageMatrices, type Expert, flattened } from '../expert.ts'
import {
  columnsOf,
  type ExpertLayer,
  type ExpertMethod,
  type ExpertMethodFactory,
  type ReducedLayer,
  routerRows,
  usageOf,
} from '../expert-method.ts'
import { type ExpertGroups, groupAroundDistinct, groupAroundDominant } from '../group-experts.ts'
import { denseOf, factorRank, lowRankSparse } from '../low-rank.ts'

const likeness = v.picklist(['router', 'weights'], 'Expected router or weights for similarity')
const core = v.picklist(['core', 'first'], 'Expected core or first for reference')

const smoeEntries = {
  /** What experts are compared by: the router (logits where known, otherwise its rows; default), or their weights. */
  similarity: v.optional(likeness, 'router'),
  /** Match neurons before averaging (default true). */
  align: v.optional(v.boolean(), true),
  /** Whose order of neurons the others take: the core of their group (default), or the layer's first expert. */
  reference: v.optional(core, 'core'),
}
const mcEntries = {
  ...smoeEntries,
  /** Values of the product, as a share of the matrix's (default 0.15). */
  ratio: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0.15),
  /** Share of rows that the sparse rest keeps (default 0.2). */
  kept: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0.2),
}
const smoeSchema = v.object(smoeEntries)
const mcSchema = v.object(mcEntries)

type SmoeOptions = v.InferOutput<typeof smoeSchema>
type McOptions = v.InferOutput<typeof mcSchema>

/**
 * Merges experts around the most used ones: each other expert joins the one whose tokens are most like its own by the router, neurons are
 * matched by assignment, weights averaged by usage. Where no statistics are given the cores are those that the router tells apart best, and
 * all experts of a group weigh the same.
 *
 * `similarity` router (default) or weights; `align` (default true); `reference` core (default) or first.
 * @example
 * await mergeExperts('mixtral', { experts: 4, method: mSmoe(), out: 'smaller' })
 */
export const mSmoe: ExpertMethodFactory<SmoeOptions> = Object.assign(
  (given: Partial<SmoeOptions> = {}): ExpertMethod => {
    const options = v.parse(smoeSchema, given)
    return { name: 'm-smoe', options, reduce: (_kernels, layer, count) => reduce(layer, count, options) }
  },
  {
    info: {
      name: 'm-smoe',
      verb: 'merge',
      summary:
        'Merges the experts of each layer around the most used ones; for mixtures with more experts than they need.',
      source: 'Li et al., "Merge, Then Compress: Demystify Efficient SMoE with Hints from Its Routing Policy", 2024',
      status: 'partial' as const,
      results: 'docs/results/moe-experts.md',
    },
    schema: smoeSchema as unknown as v.ObjectSchema<v.ObjectEntries, undefined>,
  },
)

/**
 * As `mSmoe`; then each matrix of a merged expert becomes a product of low rank and a sparse rest. Deviation: the rest keeps the rows with the
 * largest norm, where the paper prunes by sensitivity while training.
 *
 * `ratio` of the values in the product (default 0.15), `kept` share of rows in the rest (default 0.2).
 * @example
 * await mergeExperts('mixtral', { experts: 4, method: mcSmoe({ ratio: 0.3 }), out: 'smaller' })
 */
export const mcSmoe: ExpertMethodFactory<McOptions> = Object.assign(
  (given: Partial<McOptions> = {}): ExpertMethod => {
    const options = v.parse(mcSchema, given)
    return {
      name: 'mc-smoe',
      options,
      reduce(kernels, layer, count, index) {
        const merged = reduce(layer, count, options)
        return { ...merged, experts: merged.experts.map((expert, e) => compress(kernels, expert, options, [index, e])) }
      },
    }
  },
  {
    info: {
      name: 'mc-smoe',
      verb: 'merge',
      summary: 'As m-smoe, and the merged experts at low rank with a sparse rest; where memory counts most.',
      source: 'Li et al., "Merge, Then Compress: Demystify Efficient SMoE with Hints from Its Routing Policy", 2024',
      status: 'partial' as const,
      results: 'docs/results/moe-experts.md',
    },
    schema: mcSchema as unknown as v.ObjectSchema<v.ObjectEntries, undefined>,
  },
)

function reduce(layer: ExpertLayer, count: number, { similarity, align, reference }: SmoeOptions): ReducedLayer {
  const { experts, statistics } = layer
  const vectors =
    similarity === 'weights'
      ? experts.map(flattened)
      : statistics?.logits
        ? columnsOf(statistics.logits)
        : routerRows(layer)
  const usage = usageOf(layer)
  const groups = statistics ? groupAroundDominant(usage, vectors, count) : groupAroundDistinct(vectors, count)
  return mergeGroups(layer, groups, (members, coreOf) => {
    const ordered = members.map((e) => {
      const origin = reference === 'first' ? 0 : coreOf
      return align && e !== origin ? alignExpert(experts[origin]!, experts[e]!) : experts[e]!
    })
    return averageExperts(
      ordered,
      members.map((e) => usage[e]!),
    )
  })
}

/** One expert for each group; router rows are averaged by usage. */
export function mergeGroups(
  layer: ExpertLayer,
  groups: ExpertGroups,
  merged: (members: readonly number[], core: number) => Expert,
): ReducedLayer {
  const usage = usageOf(layer)
  const rows = routerRows(layer)
  const router = matrix(groups.cores.length, layer.router.columns)
  const experts = groups.cores.map((core, g) => {
    const members = groups.groupOf.flatMap((group, e) => (group === g ? [e] : []))
    const parts: Matrix[] = members.map((e) => matrix(1, router.columns, rows[e]!))
    router.data.set(
      averageMatrices(
        parts,
        members.map((e) => usage[e]!),
      ).data,
      g * router.columns,
    )
    return members.length === 1 ? layer.experts[core]! : merged(members, core)
  })
  return { ...groups, experts, router }
}

function compress(kernels: MatrixKernels, expert: Expert, { ratio, kept }: McOptions, key: readonly number[]): Expert {
  const small = (w: Matrix, part: string) => {
    const options = { rank: factorRank(w.rows, w.columns, ratio), kept, key: ['mc-smoe', ...key, part] }
    return denseOf(kernels, lowRankSparse(kernels, w, options))
  }
  return {
    ...expert,
    inward: expert.inward.map((w, i) => small(w, `in ${i}`)),
    outward: small(expert.outward, 'out'),
  }
}
