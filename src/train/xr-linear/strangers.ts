/** Matcher-aware negatives (PECOS; Yu et al., 2022): the training rows that the levels trained so far would send to a node that none of their labels is below. */
import { setImmediate } from 'node:timers/promises'
import { chunksInMemory } from '../../models/xr-chunks.ts'
import { RankSearch } from '../../models/xr-search.ts'
import type { Arena } from '../../tensor/kernels/arena.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { LinearMatrix } from '../linear-features.ts'
import { sharedUint32 } from '../linear-problems.ts'
import type { NodeProblem, TrainedNode } from './node-solver.ts'

const rowsPerStep = 2000

/** @param members nodes of one level; all nodes above are trained. @returns per node of the tree its rows, in compressed form. */
export async function strangersOf(
  arena: Arena,
  matrix: LinearMatrix,
  { tree, slots, unitRows }: NodeProblem,
  trained: readonly (TrainedNode | undefined)[],
  members: readonly number[],
  beam: number,
  { signal, onProgress }: RunOptions,
): Promise<{ offsets: Uint32Array; rows: Uint32Array }> {
  const nodes = tree.childStart.length - 1
  const scales = new Float32Array(tree.targets.length)
  const biases = new Float32Array(tree.targets.length)
  const sizes = { features: new Uint32Array(nodes), entries: new Uint32Array(nodes) }
  for (const part of trained) {
    if (!part) continue
    scales.set(part.scales, tree.childStart[part.node]!)
    biases.set(part.biases, tree.childStart[part.node]!)
    sizes.features[part.node] = part.size.features
    sizes.entries[part.node] = part.size.entries
  }
  const chunks = chunksInMemory(
    tree,
    sizes,
    Array.from(trained, (part) => part?.bytes ?? new Uint8Array()),
  )
  const search = new RankSearch({ tree, scales, biases, chunks })
  const level = slots.levels[members[0]!]!
  const starts = arena.u32(matrix.offsets, matrix.rows + 1)
  const columns = arena.u32(matrix.columns, matrix.entries)
  const values = arena.f32(matrix.values, matrix.entries)
  // Pairs of node and row that are met, each row's nodes one after the other.
  const metStart = new Uint32Array(matrix.rows + 1)
  const met = new Uint32Array(matrix.rows * beam)
  for (let row = 0; row < matrix.rows; row++) {
    const [from, to] = [starts[row]!, starts[row + 1]!]
    const open = search.nodesAt(level, to - from, columns.subarray(from, to), values.subarray(from, to), beam)
    met.set(open, metStart[row])
    metStart[row + 1] = metStart[row]! + open.length
    if (row % rowsPerStep !== 0) continue
    onProgress?.({ step: `negatives for level ${level + 1}`, done: row, total: matrix.rows, unit: 'rows' })
    await setImmediate()
    throwIfAborted(signal)
  }
  const own = new Uint8Array(met.length)
  markOwn(members, { tree, slots, unitRows }, metStart, met, own)
  const offsets = sharedUint32(nodes + 1)
  const used = metStart[matrix.rows]!
  for (let i = 0; i < used; i++) if (own[i] === 0) offsets[met[i]! + 1]!++
  for (let node = 0; node < nodes; node++) offsets[node + 1]! += offsets[node]!
  const cursor = offsets.slice(0, nodes)
  const rows = sharedUint32(offsets[nodes]!)
  for (let row = 0; row < matrix.rows; row++)
    for (let i = metStart[row]!; i < metStart[row + 1]!; i++) if (own[i] === 0) rows[cursor[met[i]!]!++] = row
  return { offsets, rows }
}

/** Marks the pairs in which a label of the row is below the node. */
function markOwn(
  members: readonly number[],
  { tree, slots, unitRows }: Pick<NodeProblem, 'tree' | 'slots' | 'unitRows'>,
  metStart: Uint32Array,
  met: Uint32Array,
  own: Uint8Array,
): void {
  for (const node of members) {
    const from = slots.from[tree.childStart[node]!]!
    const to = slots.to[tree.childStart[node + 1]! - 1]!
    for (let slot = from; slot < to; slot++) {
      const unit = slots.units[slot]!
      for (let i = unitRows.offsets[unit]!; i < unitRows.offsets[unit + 1]!; i++) {
        const row = unitRows.rows[i]!
        for (let k = metStart[row]!; k < metStart[row + 1]!; k++) if (met[k] === node) own[k] = 1
      }
    }
  }
}
