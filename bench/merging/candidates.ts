/** The merges that are compared: each with the settings of its paper, and the scales that are tried on dev rows. */
import * as espalier from '../../dist/index.js'

export type Family = 'average' | 'element' | 'spectral' | 'gradient' | 'per task' | 'with data'

export interface Candidate {
  readonly name: string
  readonly family: Family
  /** The usual scale first, then others; none: the method has no scale. */
  readonly lambdas: readonly number[]
  readonly base: boolean
  readonly method?: (lambda: number) => espalier.MergeMethod
  readonly dataMethod?: (lambda: number) => Parameters<typeof espalier.mergeWithData>[1]['method']
}

const { breadcrumbs, breadcrumbsTies, consensus, dareLinear, dareTies, della, doge, emr, fisher, isoC, isoCts } =
  espalier
const { adamerging, karcher, knots, linear, magmax, modelStock, multislerp, optmerge, pcbMerging, rTsvm } = espalier
const { ram, regmean, regmeanPlusplus, sce, tallMask, taskArithmetic, ties, trustRegion, tsvM, twinMerging } = espalier
const { widen, wudi } = espalier

const sums = [0.3, 0.2, 0.5]
const elected = [1, 0.6, 1.5]

type Method = NonNullable<Candidate['method']>
const dataFree = (
  name: string,
  family: Family,
  lambdas: readonly number[],
  method: Method,
  base = true,
): Candidate => ({
  name,
  family,
  lambdas,
  base,
  method,
})
const withData = (
  name: string,
  lambdas: readonly number[],
  dataMethod: NonNullable<Candidate['dataMethod']>,
): Candidate => ({ name, family: 'with data', lambdas, base: true, dataMethod })

export const candidates: readonly Candidate[] = [
  dataFree('average', 'average', [], () => linear(), false),
  dataFree('task-arithmetic', 'element', sums, (lambda) => taskArithmetic({ lambda })),
  dataFree('ties', 'element', elected, (lambda) => ties({ lambda, density: 0.2, scope: 'model' })),
  dataFree('tsv-m', 'spectral', [1, 0.6, 1.4], (lambda) => tsvM({ lambda })),
  dataFree('iso-c', 'spectral', [1.3, 1, 1.6], (lambda) => isoC({ lambda })),
  dataFree('pcb-merging', 'element', elected, (lambda) => pcbMerging({ lambda })),
  withData('regmean', [], () => regmean()),
  withData('adamerging', [], () => adamerging()),
  dataFree('emr', 'per task', [], () => emr()),
  dataFree('wudi', 'gradient', [], () => wudi()),
  dataFree('doge', 'gradient', [], () => doge()),
  dataFree('widen', 'element', [], () => widen()),
  dataFree('breadcrumbs', 'element', sums, (lambda) => breadcrumbs({ lambda, density: 0.9 })),
  dataFree('dare-linear', 'element', sums, (lambda) => dareLinear({ lambda, density: 0.5 })),
  dataFree('consensus', 'element', sums, (lambda) => consensus({ lambda })),
  dataFree('magmax', 'element', [0.5, 1], (lambda) => magmax({ lambda })),
  withData('regmean-plusplus', [], () => regmeanPlusplus()),
  withData('fisher', [], () => fisher()),
  dataFree('iso-cts', 'spectral', [1.3, 1, 1.6], (lambda) => isoCts({ lambda })),
  dataFree('r-tsvm', 'spectral', [1, 0.6, 1.4], (lambda) => rTsvm({ lambda })),
  dataFree('knots', 'spectral', elected, (lambda) => knots({ lambda })),
  dataFree('optmerge', 'gradient', [], () => optmerge()),
  dataFree('tall-mask', 'per task', [], () => tallMask()),
  dataFree('twin-merging', 'per task', [], () => twinMerging()),
  dataFree('sce', 'element', elected, (lambda) => sce({ lambda })),
  dataFree('dare-ties', 'element', elected, (lambda) => dareTies({ lambda, density: 0.5 })),
  dataFree('della', 'element', elected, (lambda) => della({ lambda, density: 0.5 })),
  dataFree('trust-region', 'element', sums, (lambda) => trustRegion({ lambda })),
  dataFree('breadcrumbs-ties', 'element', elected, (lambda) => breadcrumbsTies({ lambda, density: 0.2 })),
  dataFree('ram', 'element', [], () => ram()),
  dataFree('model-stock', 'average', [], () => modelStock()),
  dataFree('karcher', 'average', [], () => karcher(), false),
  dataFree('multislerp', 'average', [], () => multislerp(), false),
]

/** From weak to strong as papers and the catalogue's suite have it; names on one line are not told apart. */
export const literature: readonly (readonly string[])[] = [
  ['average'],
  ['breadcrumbs'],
  ['dare-linear'],
  ['task-arithmetic'],
  ['ties', 'widen', 'pcb-merging'],
  ['doge'],
  ['iso-c'],
  ['tsv-m'],
  ['emr'],
]
