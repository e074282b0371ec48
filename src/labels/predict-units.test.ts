import { expect, test } from 'vitest'
import type { HeadLayout } from './head-layout.ts'
import { unitPredictor, unitScores } from './predict-units.ts'

// Tree: 0 {2, 3}, 1 {4}; a path may stop at 0.
const conditional: HeadLayout = {
  activation: 'softmax',
  unitNodes: Int32Array.of(0, 1, 2, 3, 0, 4),
  groups: [
    { parent: -1, start: 0, end: 2 },
    { parent: 0, start: 2, end: 5 },
    { parent: 1, start: 5, end: 6 },
  ],
}

test('softmax groups: down the largest units, until a path stops', () => {
  const predict = unitPredictor(conditional)
  expect(predict(Float32Array.of(2, 1, 0, 5, 1, 9), 0)).toEqual([0, 3])
  expect(predict(Float32Array.of(2, 1, 0, 0, 1, 9), 0)).toEqual([0, 4])
  expect(predict(Float32Array.of(9, 9, 0, 1, 9, 9, 9, -7), 2)).toEqual([1, 5])
})

test('sigmoid groups: positive units, below predicted parents only', () => {
  const layout: HeadLayout = {
    activation: 'sigmoid',
    unitNodes: Int32Array.of(0, 1, 2, 3, 4),
    groups: [
      { parent: -1, start: 0, end: 2 },
      { parent: 0, start: 2, end: 4 },
      { parent: 1, start: 4, end: 5 },
    ],
  }
  expect(unitPredictor(layout)(Float32Array.of(1, -1, 2, -2, 3), 0)).toEqual([0, 2])
  const targets = {
    groupOffsets: Uint32Array.of(0, 2, 4, 5),
    activeGroups: Uint32Array.of(0, 1, 0, 2, 0),
    unitOffsets: Uint32Array.of(0, 2, 4, 4),
    rightUnits: Uint32Array.of(0, 2, 1, 4),
  }
  const logits = Float32Array.of(1, -1, 2, -2, 3, 1, 1, -1, -1, 1, -1, -1, -1, -1, -1)
  // Predicted {0, 2} {0, 1, 4} {}: hits 2 + 2, predicted 5, right 4.
  expect(unitScores(layout, targets, logits)).toEqual({ exact: 2 / 3, microF1: 8 / 9 })
})
