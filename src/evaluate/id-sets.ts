/** Label sets of many rows in compressed row form: two typed arrays instead of a set per row, so a million rows cost one pass and no garbage. */
import type { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'

/** Row r holds the labels ids[offsets[r]..offsets[r+1]), each once. In a ranking the order is best first; elsewhere it has no meaning. */
export interface IdSets {
  /** Length rows + 1. */
  readonly offsets: Uint32Array
  readonly ids: Uint32Array
}

/** Label sets with one score an id: a probability, or any number that ranks. */
export interface ScoredIds extends IdSets {
  readonly scores: Float32Array | Float64Array
}

export const rowCount = (sets: IdSets): number => sets.offsets.length - 1

/**
 * Packs lists of ids.
 * @example idSets([[0, 2], [], [1]]).offsets // Uint32Array [0, 2, 2, 3]
 */
export function idSets(rows: readonly (readonly number[])[]): IdSets {
  const offsets = new Uint32Array(rows.length + 1)
  for (let row = 0; row < rows.length; row++) offsets[row + 1] = offsets[row]! + rows[row]!.length
  const ids = new Uint32Array(offsets.at(-1)!)
  for (let row = 0; row < rows.length; row++) ids.set(rows[row]!, offsets[row]!)
  return { offsets, ids }
}

/** Packs lists of ids and their scores. */
export function scoredIds(rows: readonly (readonly number[])[], scores: readonly ArrayLike<number>[]): ScoredIds {
  const sets = idSets(rows)
  const packed = new Float64Array(sets.ids.length)
  for (let row = 0; row < scores.length; row++) packed.set(scores[row]!, sets.offsets[row]!)
  return { ...sets, scores: packed }
}

/** The labels of one row as a list. */
export function idsOf(sets: IdSets, row: number): number[] {
  return Array.from(sets.ids.subarray(sets.offsets[row]!, sets.offsets[row + 1]!))
}

/** Every row's labels with all their ancestors, ancestors first. Linear in the size of the result. */
export function closeIdSets(tree: LabelTree, sets: IdSets): IdSets {
  const rows = rowCount(sets)
  const offsets = new Uint32Array(rows + 1)
  let ids = new Uint32Array(Math.max(16, sets.ids.length * 2))
  const seenIn = new Int32Array(tree.size).fill(-1)
  let length = 0
  for (let row = 0; row < rows; row++) {
    for (let at = sets.offsets[row]!; at < sets.offsets[row + 1]!; at++) {
      const id = sets.ids[at]!
      const above = tree.ancestors(id)
      if (length + above.length + 1 > ids.length) {
        const grown = new Uint32Array(Math.max(ids.length * 2, length + above.length + 1))
        grown.set(ids)
        ids = grown
      }
      for (const ancestor of above) {
        if (seenIn[ancestor] === row) continue
        seenIn[ancestor] = row
        ids[length++] = ancestor
      }
      if (seenIn[id] !== row) {
        seenIn[id] = row
        ids[length++] = id
      }
    }
    offsets[row + 1] = length
  }
  return { offsets, ids: ids.slice(0, length) }
}

/**
 * Checks that sets fit a tree and a number of rows.
 * @param what names the sets in the message: "gold", "predicted", "ranking"
 * @throws InputError `EVALUATE_ROWS`, `EVALUATE_LABEL` (an id outside the tree, or twice in one row), `SCORES_NAN`
 */
export function checkIdSets(what: string, sets: IdSets | ScoredIds, tree: LabelTree, rows: number): void {
  if (rowCount(sets) !== rows)
    throw new InputError('EVALUATE_ROWS', `Expected ${rows} rows of ${what} labels, received ${rowCount(sets)}`, {
      help: 'give gold and predicted labels for the same rows, in the same order',
    })
  const seenIn = new Int32Array(tree.size).fill(-1)
  for (let row = 0; row < rows; row++) {
    for (let at = sets.offsets[row]!; at < sets.offsets[row + 1]!; at++) {
      const id = sets.ids[at]!
      if (id >= tree.size)
        throw new InputError(
          'EVALUATE_LABEL',
          `Row ${row + 1} has the ${what} label ${id}, the tree has ${tree.size}`,
          {
            help: 'evaluate with the label tree the model was trained with',
            data: { row, id },
          },
        )
      if (seenIn[id] === row)
        throw new InputError('EVALUATE_LABEL', `Row ${row + 1} has the ${what} label ${id} twice`, {
          help: 'give every label once a row',
          data: { row, id },
        })
      seenIn[id] = row
    }
  }
  if ('scores' in sets) checkScores(what, sets, rows)
}

function checkScores(what: string, sets: ScoredIds, rows: number): void {
  if (sets.scores.length !== sets.ids.length)
    throw new InputError(
      'EVALUATE_ROWS',
      `Expected ${sets.ids.length} ${what} scores, one a label, received ${sets.scores.length}`,
    )
  const at = sets.scores.findIndex(Number.isNaN)
  if (at < 0) return
  let row = 0
  while (row < rows && sets.offsets[row + 1]! <= at) row++
  throw new InputError('SCORES_NAN', `Row ${row + 1}, label ${sets.ids[at]}: the ${what} score is not a number`, {
    help: "the model's weights are damaged: train it again or fetch it again",
    data: { row, id: sets.ids[at] },
  })
}
