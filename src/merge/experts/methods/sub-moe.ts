/** Sub-MoE (Li et al., 2025): experts are clustered by what they give out, and merged in the subspace that a cluster has in common. */
import * as v from 'valibot'
import { alignExpert, averageExperts, type Expert, flattened } from '../expert.ts'
import { type ExpertMethod, type ExpertMethodFactory, usageOf } from '../expert-method.ts'
import { groupByClusters } from '../group-experts.ts'
import { projectOnCommon } from '../low-rank.ts'
import { mergeGroups } from './m-smoe.ts'

const schema = v.object({
  /** Directions that are kept, as a share of the model's width (default 1: all, which is the plain mean). */
  rank: v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(1)), 1),
  /** Match neurons before averaging (default true). */
  align: v.optional(v.boolean(), true),
  seed: v.optional(v.pipe(v.number(), v.integer()), 0),
})
type Options = v.InferOutput<typeof schema>

/**
 * k-means of the experts' mean outputs, normalised (their weights, with neurons matched to the first expert, where no outputs are given); each
 * cluster becomes its mean by usage, projected on the strongest directions that its members have in common on the side of the model's width.
 * Reconstructed from the abstract: at full rank the merge in the subspace is the weighted mean itself, so only `rank` below 1 differs from it.
 *
 * `rank` share of directions kept (default 1), `align` (default true), `seed` of the clustering (default 0).
 * @example
 * await mergeExperts('mixtral', { experts: 4, method: subMoe({ rank: 0.8 }), out: 'smaller' })
 */
export const subMoe: ExpertMethodFactory<Options> = Object.assign(
  (given: Partial<Options> = {}): ExpertMethod => {
    const options = v.parse(schema, given)
    const { rank, align, seed } = options
    return {
      name: 'sub-moe',
      options,
      reduce(kernels, layer, count, index) {
        const { experts, statistics } = layer
        const usage = usageOf(layer)
        const vectors =
          statistics?.outputs ??
          experts.map((expert, e) => flattened(e === 0 ? expert : alignExpert(experts[0]!, expert)))
        return mergeGroups(layer, groupByClusters(usage, vectors, count, seed + index), (members, core): Expert => {
          const ordered = members.map((e) =>
            align && e !== core ? alignExpert(experts[core]!, experts[e]!) : experts[e]!,
          )
          const mean = averageExperts(
            ordered,
            members.map((e) => usage[e]!),
          )
          const kept = Math.max(1, Math.round(rank * mean.outward.rows))
          return {
            ...mean,
            inward: mean.inward.map((w, m) =>
              projectOnCommon(
                kernels,
                ordered.map(({ inward }) => inward[m]!),
                w,
                { rank: kept, side: 'right' },
              ),
            ),
            outward: projectOnCommon(
              kernels,
              ordered.map(({ outward }) => outward),
              mean.outward,
              {
                rank: kept,
                side: 'left',
              },
            ),
          }
        })
      },
    }
  },
  {
    info: {
      name: 'sub-moe',
      verb: 'merge',
      summary: 'Clusters experts by their outputs and merges each cluster in a common subspace.',
      source: 'Li et al., "Sub-MoE: Efficient Mixture-of-Expert LLMs Compression via Subspace Expert Merging", 2025',
      status: 'partial' as const,
      results: 'docs/results/moe-experts.md',
    },
    schema: schema as unknown as v.ObjectSchema<v.ObjectEntries, undefined>,
  },
)
