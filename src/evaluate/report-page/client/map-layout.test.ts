import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LabelTree } from '../../../labels/label-tree.ts'
import type { PageData } from '../page-data.ts'
import { mapLayout } from './map-layout.ts'
import { createPage, type Page } from './page.ts'

/** A page over a tree whose leaves have these supports; `right` of the predictions are right. */
function pageOf(tree: LabelTree, leafSupport: number[]): Page {
  const support = new Array<number>(tree.size).fill(0)
  for (const [i, leaf] of tree.leaves.entries())
    for (const id of tree.closure([leaf])) support[id]! += leafSupport[i % leafSupport.length]!
  const data: PageData = {
    names: tree.nodes.map((node) => node.name),
    titles: {},
    descriptions: {},
    parents: tree.nodes.map((node) => node.parents),
    support,
    predicted: support,
    right: support.map((count) => Math.floor(count / 2)),
    rows: [],
    confusions: [],
    curves: [],
    reliability: [],
  }
  return createPage(data)
}

const scene = fc.record({
  paths: fc.array(fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 60,
  }),
  support: fc.array(fc.nat(50), { minLength: 1, maxLength: 60 }),
  width: fc.integer({ min: 200, max: 2000 }),
  height: fc.integer({ min: 100, max: 900 }),
})

describe('mapLayout', () => {
  it('draws areas in proportion to support, side by side, inside the board', () => {
    fc.assert(
      fc.property(scene, ({ paths, support, width, height }) => {
        const page = pageOf(LabelTree.fromPaths(paths), support)
        const total = page.children(-1).reduce((sum, id) => sum + page.data.support[id]!, 0)
        const boxes = mapLayout(page).boxes(-1, width, height)
        if (total === 0) expect(boxes).toEqual([])
        for (const box of boxes) {
          expect(box.left).toBeGreaterThanOrEqual(0)
          expect(box.top).toBeGreaterThanOrEqual(-1e-6)
          expect(box.left + box.width).toBeLessThanOrEqual(width + 1e-6)
          expect(box.top + box.height).toBeLessThanOrEqual(height + 1e-6)
          if (box.pileF1 === undefined && page.level(box.id) === 1)
            expect(box.height).toBeCloseTo((page.data.support[box.id]! / total) * height, 6)
        }
        for (const [i, a] of boxes.entries())
          for (const b of boxes.slice(i + 1)) {
            const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left)
            const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top)
            expect(Math.min(across, down)).toBeLessThan(1e-6)
          }
      }),
    )
  })

  it('sets many leaves side by side so that each can be named', () => {
    const tree = LabelTree.fromPaths(Array.from({ length: 80 }, (_, i) => [`label ${i}`]))
    const boxes = mapLayout(pageOf(tree, [3])).boxes(-1, 900, 640)
    expect(boxes).toHaveLength(80)
    expect(new Set(boxes.map((box) => box.left)).size).toBe(2)
    expect(boxes.every((box) => Math.abs(box.height - 16) < 1e-9)).toBe(true)
  })

  it('joins what is too thin to be seen, on every level', () => {
    const tree = LabelTree.fromPaths(Array.from({ length: 3000 }, (_, i) => [`a${i % 1500}`, `b${i}`]))
    const page = pageOf(tree, [1])
    const boxes = mapLayout(page).boxes(-1, 600, 300)
    expect(boxes.length).toBeLessThan(500)
    for (const left of [0, 220]) {
      const column = boxes.filter((box) => box.left === left)
      expect(column.reduce((sum, box) => sum + box.height, 0)).toBeCloseTo(300, 6)
      for (const box of column) expect(box.pileF1).toBeCloseTo(box.id < 1500 ? 0.5 : 0, 12)
    }
    expect(mapLayout(page).boxes(0, 600, 300)).toHaveLength(2)
  })
})
