/** Methods that leave a mixture of experts with fewer of them. A method is one file that exports one function of its options. */
import type * as v from 'valibot'
import type { Matrix, MatrixKernels } from '../../tensor/linear-algebra/index.ts'
import type { MethodInfo } from '../../util/method.ts'
import type { Expert } from './expert.ts'
import type { ExpertGroups } from './group-experts.ts'

/** What running texts through a layer's router showed. Without it, weights decide. */
export interface RouterStatistics {
  /** Share of tokens that each expert gets; experts that share a token count it both. */
  readonly usage: readonly number[]
  /** Router logits [tokens][experts]. */
  readonly logits?: readonly (readonly number[])[]
  /** Mean output of each expert on the same hidden states [experts][width]. */
  readonly outputs?: readonly (readonly number[])[]
}

export interface ExpertLayer {
  readonly experts: readonly Expert[]
  /** [experts, width] */
  readonly router: Matrix
  readonly statistics?: RouterStatistics
}

export interface ReducedLayer extends ExpertGroups {
  readonly experts: readonly Expert[]
  /** A row for each group, for checkpoints whose router has as many outputs as experts. Exact is the old router, redirected by `groupOf`. */
  readonly router: Matrix
}

export interface ExpertMethod {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  /** Leaves `count` experts in a layer. `index` is the layer's number, for random choices. */
  reduce(kernels: MatrixKernels, layer: ExpertLayer, count: number, index: number): ReducedLayer
}

export interface ExpertMethodFactory<Options> {
  (options?: Partial<Options>): ExpertMethod
  readonly info: MethodInfo
  readonly schema: v.ObjectSchema<v.ObjectEntries, undefined>
}

/** Usage by tokens, or equal shares where nothing is known. */
export const usageOf = ({ experts, statistics }: ExpertLayer): readonly number[] =>
  statistics?.usage ?? experts.map(() => 1 / experts.length)

/** The router's rows: how similar two experts' tokens are, where no logits are known. */
export const routerRows = ({ router }: ExpertLayer): Float64Array[] =>
  Array.from({ length: router.rows }, (_, e) => router.data.subarray(e * router.columns, (e + 1) * router.columns))

/** The column of each expert in logits [tokens][experts]. */
export const columnsOf = (logits: readonly (readonly number[])[]): Float64Array[] =>
  (logits[0] ?? []).map((_, e) => Float64Array.from(logits, (row) => row[e]!))
