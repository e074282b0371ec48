/** Where every label lies between the top and the bottom of the map: each parent's span is shared among its children by their size. */
import type { Page } from './page.ts'

/** All by id + 1, so that 0 is the root. */
export interface Partition {
  readonly value: Float64Array
  /** From 0, the top, to 1, the bottom. */
  readonly top: Float64Array
  readonly bottom: Float64Array
  /** Number of levels below. */
  readonly depthBelow: Int32Array
}

export function partition(page: Page): Partition {
  const { size } = page
  // An inner label is as large as its support, and never smaller than its children together (rows may have several paths).
  const value = Float64Array.from({ length: size + 1 })
  for (let id = size - 1; id >= -1; id--) {
    let inside = 0
    for (const child of page.children(id)) inside += value[child + 1]!
    value[id + 1] = Math.max(id < 0 ? 0 : page.data.support[id]!, inside)
  }
  const top = new Float64Array(size + 1)
  const bottom = new Float64Array(size + 1)
  bottom[0] = 1
  for (let id = -1; id < size; id++) {
    let at = top[id + 1]!
    const scale = value[id + 1] === 0 ? 0 : (bottom[id + 1]! - at) / value[id + 1]!
    for (const child of page.children(id)) {
      top[child + 1] = at
      at = bottom[child + 1] = at + value[child + 1]! * scale
    }
  }
  const depthBelow = new Int32Array(size + 1)
  for (let id = size - 1; id >= 0; id--)
    depthBelow[page.parent(id) + 1] = Math.max(depthBelow[page.parent(id) + 1]!, depthBelow[id + 1]! + 1)
  return { value, top, bottom, depthBelow }
}
