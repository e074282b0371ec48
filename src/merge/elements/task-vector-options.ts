/** Options that the task-vector methods share. */
import { anyNumber, perModel, share, shared, yesOrNo } from '../merge-method.ts'

/** Weight of each model's difference (default 1). */
export const weight = perModel(anyNumber, 1)
/** Share of each difference that is kept (default 1). */
export const density = perModel(share, 1)
/** Factor of the merged difference (default 1). */
export const lambda = shared(anyNumber, 1)
/** Divide by the weights that took part. */
export const normalize = (fallback: boolean) => shared(yesOrNo, fallback)
/** Share of the largest changes that is dropped as outliers (default 0.01). */
export const gamma = perModel(share, 0.01)
