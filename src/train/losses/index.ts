/** Losses by name. */
import type * as v from 'valibot'
import type { TreeShape } from '../../labels/tree-distance.ts'
import { asymmetricLoss } from './asymmetric.ts'
import { focalLoss } from './focal.ts'
import type { Loss, LossInfo } from './loss.ts'
import { treeMarginLoss } from './tree-margin.ts'
import { treeSmoothingLoss } from './tree-smoothing.ts'
import { zlprLoss } from './zlpr.ts'

export type { Loss, LossInfo } from './loss.ts'
export { asymmetricLoss, focalLoss, treeMarginLoss, treeSmoothingLoss, zlprLoss }

/** A loss as a training job carries it. */
export interface LossJob extends Loss {
  /** For a loss that looks at the tree. */
  readonly tree?: TreeShape
}

/** A loss's exported function, whatever its options. */
export interface AnyLoss {
  (options?: Record<string, unknown>): Loss
  readonly info: LossInfo
  readonly schema: v.ObjectSchema<v.ObjectEntries, undefined>
}

export const losses = [focalLoss, asymmetricLoss, treeSmoothingLoss, treeMarginLoss, zlprLoss] as readonly AnyLoss[]

export const lossNames: readonly string[] = losses.map(({ info }) => info.name)

export const lossOf = (name: string): AnyLoss => losses.find(({ info }) => info.name === name)!
