/**
 * How the nodes of a label tree become the outputs of a classifier. A head method only chooses a layout; the trainers (sparse linear, encoder)
 * and the decoder work on any layout, so that every method runs on every encoder.
 */

/** Units that are trained against each other. The group is active in a row if `parent` is among the row's labels (-1: always). */
export interface UnitGroup {
  /** The node whose children the group tells apart; -1 for the root. */
  readonly parent: number
  /** Units start..end-1. */
  readonly start: number
  readonly end: number
}

export interface HeadLayout {
  /** softmax: exactly one unit of an active group is right. sigmoid: each unit is right or wrong on its own. */
  readonly activation: 'softmax' | 'sigmoid'
  /** The node each unit stands for. In a softmax group, the unit of the group's own parent means "the path stops here". */
  readonly unitNodes: Int32Array
  readonly groups: readonly UnitGroup[]
  /** Where several tasks share the layout: the node that stands for each, of which a row has one. Default: -1 alone. */
  readonly roots?: readonly number[]
}

/** What the rows of a data set ask of a layout, in compressed row form. */
export interface HeadTargets {
  /** Row r has the active groups activeGroups[groupOffsets[r]..groupOffsets[r+1]). */
  readonly groupOffsets: Uint32Array
  readonly activeGroups: Uint32Array
  /** Row r has the right units rightUnits[unitOffsets[r]..unitOffsets[r+1]). In an active softmax group there is exactly one. */
  readonly unitOffsets: Uint32Array
  readonly rightUnits: Uint32Array
}
