/**
 * Where every label lies on the map: an icicle (Kruskal and Landwehr, 1983) whose levels run from left to right and whose areas are the labels'
 * support. Leaves too thin to be named stand in several columns beside each other; what is too thin to be seen is drawn as one block.
 */
import type { Page } from './page.ts'

export interface MapBox {
  readonly id: number
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  /** Mean F1 of a block that stands for several labels, of which `id` is the first. */
  readonly pileF1?: number
  /** There are levels below that are not drawn. */
  readonly more?: boolean
}

export interface MapLayout {
  /** Boxes of what lies below a label (-1: the root), which itself is not drawn. */
  boxes(focus: number, width: number, height: number): MapBox[]
}

export function mapLayout(page: Page): MapLayout {
  const { size } = page
  // All by id + 1, so that 0 is the root. A label is as large as its support, and never smaller than its children together
  // (rows may have several paths).
  const value = new Float64Array(size + 1)
  const depthBelow = new Int32Array(size + 1)
  for (let id = size - 1; id >= -1; id--) {
    let inside = 0
    for (const child of page.children(id)) {
      inside += value[child + 1]!
      depthBelow[id + 1] = Math.max(depthBelow[id + 1]!, depthBelow[child + 1]! + 1)
    }
    value[id + 1] = Math.max(id < 0 ? 0 : page.data.support[id]!, inside)
  }
  const visible = (id: number): number[] => page.children(id).filter((child) => value[child + 1]! > 0)
  const isLeaf = (id: number): boolean => page.children(id).length === 0
  const sum = (ids: readonly number[]): number => ids.reduce((total, id) => total + value[id + 1]!, 0)

  /** How many columns make leaves of a mean height of at least 16 pixels, or 12 at the least; 1 if none does. */
  const columnsFor = (leaves: number, width: number, height: number): number => {
    const most = Math.floor(width / 108)
    const wanted = Math.max(1, Math.ceil((16 * leaves) / height))
    return wanted <= most ? wanted : most * height >= 12 * leaves ? most : 1
  }

  const wrapped = (ids: readonly number[], columns: number, box: Omit<MapBox, 'id'>): MapBox[] => {
    const share = sum(ids) / columns
    const parts: number[][] = Array.from({ length: columns }, () => [])
    let before = 0
    for (const id of ids) {
      parts[Math.min(columns - 1, Math.floor((before + value[id + 1]! / 2) / share))]!.push(id)
      before += value[id + 1]!
    }
    const width = box.width / columns
    return parts.flatMap((part, column) => {
      const scale = box.height / sum(part)
      let top = box.top
      return part.map((id): MapBox => {
        const height = value[id + 1]! * scale
        top += height
        return { id, left: box.left + column * width, top: top - height, width, height }
      })
    })
  }

  return {
    boxes(focus, width, height) {
      const columns = Math.max(1, Math.min(depthBelow[focus + 1]!, Math.max(2, Math.floor(width / 118))))
      // The last level holds the most labels: it takes what the others do not need.
      const inner = Math.min(width / columns, 220)
      const widthOf = (column: number): number => (column < columns - 1 ? inner : width - inner * (columns - 1))
      const scale = value[focus + 1] === 0 ? 0 : height / value[focus + 1]!
      const boxes: MapBox[] = []

      /** Labels too thin to be seen apart, and what lies below them likewise. */
      const pile = (ids: readonly number[], column: number, top: number): void => {
        if (ids.length === 0 || column === columns) return
        const weight = sum(ids)
        const pileF1 = ids.reduce((total, id) => total + page.f1(id) * value[id + 1]!, 0) / weight
        boxes.push({ id: ids[0]!, left: column * inner, top, width: widthOf(column), height: weight * scale, pileF1 })
        pile(ids.flatMap(visible), column + 1, top)
      }
      const below = (id: number, column: number, start: number): void => {
        if (column === columns) return
        const ids = visible(id)
        const area = { left: column * inner, top: start, width: widthOf(column), height: sum(ids) * scale }
        const side = ids.every(isLeaf) ? columnsFor(ids.length, area.width, area.height) : 1
        if (side > 1) {
          boxes.push(...wrapped(ids, side, area))
          return
        }
        let top = start
        let thin: number[] = []
        const close = (): void => {
          pile(thin, column, top - sum(thin) * scale)
          thin = []
        }
        for (const child of ids) {
          const tall = value[child + 1]! * scale
          if (tall < 1.5) {
            thin.push(child)
            top += tall
            if (sum(thin) * scale >= 3) close()
            continue
          }
          close()
          const more = column === columns - 1 && !isLeaf(child)
          boxes.push({ ...area, id: child, top, height: tall, more })
          below(child, column + 1, top)
          top += tall
        }
        close()
      }
      below(focus, 0, 0)
      return boxes
    },
  }
}
