import { expect, test } from 'vitest'
import { Arena } from './arena.ts'
import { loadKernels } from './load.ts'

type Score = (
  kept: number,
  columns: number,
  values: number,
  offsets: number,
  problems: number,
  weights: number,
  scores: number,
) => void // prettier-ignore

test.each([
  ['score8', Uint8Array],
  ['score16', Uint16Array],
  ['score32', Uint32Array],
] as const)('%s adds value times weight for every weight of the features', async (name, idArray) => {
  const arena = new Arena()
  const kernels = await loadKernels<Record<string, Score>>('sparse-score', arena.memory)
  const offsets = [0, 2, 2, 5]
  const ids = idArray.of(3, 0, 1, 2, 3)
  const weights = [10, -20, 127, -127, 5]
  const at = {
    columns: arena.allocate(12),
    values: arena.allocate(12),
    offsets: arena.allocate(16),
    ids: arena.allocate(20),
    weights: arena.allocate(5),
    scores: arena.allocate(16),
  }
  arena.u32(at.columns, 3).set([2, 0, 1])
  arena.f32(at.values, 3).set([0.5, -2, 9])
  arena.u32(at.offsets, 4).set(offsets)
  arena.u8(at.ids, ids.byteLength).set(new Uint8Array(ids.buffer))
  arena.i8(at.weights, 5).set(weights)
  arena.f32(at.scores, 4).set([1, 1, 1, 1])
  kernels[name]!(3, at.columns, at.values, at.offsets, at.ids, at.weights, at.scores)
  expect([...arena.f32(at.scores, 4)]).toEqual([1 + 40, 1 + 63.5, 1 - 63.5, 1 - 20 + 2.5])
})
