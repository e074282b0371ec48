/** The label tree as a zoomable icicle: levels from left to right, area = support, colour = F1. A click selects a label and zooms to it. */
import type { Page } from './page.ts'
import type { Partition } from './partition.ts'

export function drawMap(page: Page, places: Partition, host: HTMLElement, tip: HTMLElement): void {
  const { h, size } = page
  const { value, top, bottom, depthBelow } = places
  const strip = 26
  const drawn = new Map<number, HTMLElement>()
  const board = h('div', {
    class: 'board',
    role: 'group',
    'aria-label': 'Label tree. Arrow keys move, Enter zooms, Escape goes up.',
  })
  host.append(board)

  /** A label is looked at from its own place if it has children, else from its parent's. */
  const focusOf = (id: number): number => (id < 0 || page.children(id).length > 0 ? id : page.parent(id))
  const nameOf = (id: number): string => (id < 0 ? 'All labels' : page.title(id))
  const describe = (id: number): string =>
    id < 0
      ? `All ${page.count(size)} labels`
      : page.data.support[id] === 0
        ? `${page.pathText(id)}: no rows`
        : `${page.pathText(id)}: F1 ${page.score(page.f1(id))}, ${page.rows(page.data.support[id]!)}`

  /** What fits beside a name. */
  const figures = (id: number, width: number): HTMLElement[] => [
    ...(width > 300 ? [h('i', {}, page.rows(page.data.support[id]!))] : []),
    ...(width > 96 ? [h('b', {}, page.score(page.f1(id)))] : []),
  ]

  const place = (id: number, box: [number, number, number, number], kind: string): HTMLElement => {
    let element = drawn.get(id)
    if (!element) {
      element = h('div', { tabindex: '-1', 'data-id': id })
      board.append(element)
      drawn.set(id, element)
    }
    const [left, y, width, height] = box
    element.style.cssText = `left:${left}px;top:${y}px;width:${width}px;height:${height}px`
    element.className = `node ${kind} ${id < 0 ? 'shade-none' : page.shade(id)}${height < 4 ? ' thin' : ''}`
    return element
  }

  const render = (): void => {
    const chosen = page.selected()
    const focus = focusOf(chosen)
    const width = board.clientWidth
    const height = board.clientHeight
    const keep = new Set<number>()
    const from = top[focus + 1]!
    const scale = height / Math.max(1e-12, bottom[focus + 1]! - from)
    const strips = [-1, ...(focus < 0 ? [] : page.path(focus))]
    for (const [i, id] of strips.entries()) {
      keep.add(id)
      const element = place(id, [i * strip, 0, strip - 1, height], 'strip')
      element.replaceChildren(h('span', {}, nameOf(id)))
    }
    const left = strips.length * strip
    const columns = Math.max(1, Math.min(depthBelow[focus + 1]!, Math.max(2, Math.floor((width - left) / 118))))
    const columnWidth = (width - left) / columns
    const box = (id: number, last: number, column: number): [number, number, number, number] => {
      const y = (top[id + 1]! - from) * scale
      return [left + column * columnWidth, y, columnWidth - 1, (bottom[last + 1]! - from) * scale - y]
    }
    /** Neighbours too thin to see apart, as one block of their mean F1, and what lies below them likewise. */
    const drawPile = (ids: readonly number[], column: number): void => {
      if (ids.length === 0 || column === columns) return
      const first = ids[0]!
      let weight = 0
      let f1 = 0
      for (const id of ids) {
        weight += value[id + 1]!
        f1 += page.f1(id) * value[id + 1]!
      }
      keep.add(first)
      const element = place(first, box(first, ids.at(-1)!, column), 'pile')
      element.className = `node pile thin ${page.shadeOf(f1 / weight)}`
      element.replaceChildren()
      drawPile(
        ids.flatMap((id) => page.children(id).filter((child) => value[child + 1]! > 0)),
        column + 1,
      )
    }
    const visit = (id: number, column: number): void => {
      if (column === columns) return
      let pile: number[] = []
      const close = (): void => {
        drawPile(pile, column)
        pile = []
      }
      for (const child of page.children(id)) {
        const tall = (bottom[child + 1]! - top[child + 1]!) * scale
        if (tall === 0) continue
        if (tall < 1.5) {
          pile.push(child)
          if ((bottom[child + 1]! - top[pile[0]! + 1]!) * scale >= 3) close()
          continue
        }
        close()
        keep.add(child)
        const more = tall >= 12 && column === columns - 1 && page.children(child).length > 0
        const element = place(child, box(child, child, column), more ? 'inner' : '')
        if (child === chosen) element.classList.add('chosen')
        element.replaceChildren(...(tall < 12 ? [] : [h('span', {}, nameOf(child)), ...figures(child, columnWidth)]))
        visit(child, column + 1)
      }
      close()
    }
    visit(focus, 0)
    for (const [id, element] of drawn) {
      if (keep.has(id)) continue
      element.remove()
      drawn.delete(id)
    }
    for (const element of drawn.values()) element.tabIndex = -1
    const entry = drawn.get(chosen) ?? drawn.get(-1)
    if (entry) entry.tabIndex = 0
    for (const [id, element] of drawn) {
      element.setAttribute('role', 'button')
      element.setAttribute(
        'aria-label',
        element.classList.contains('pile') ? `${describe(id)}, and its neighbours` : describe(id),
      )
      element.setAttribute('aria-pressed', String(id === chosen))
    }
  }

  /** A second click on the selected label goes up. */
  const choose = (id: number): void => page.select(id >= 0 && id === page.selected() ? page.parent(id) : id)
  const idAt = (event: Event): number | undefined => {
    const element = (event.target as Element).closest<HTMLElement>('.node')
    return element ? Number(element.dataset['id']) : undefined
  }
  board.addEventListener('click', (event) => {
    const id = idAt(event)
    if (id !== undefined) choose(id)
  })
  board.addEventListener('pointermove', (event) => {
    const id = idAt(event)
    if (id === undefined || event.pointerType === 'touch') return tip.removeAttribute('data-shown')
    const lines =
      id < 0
        ? [describe(id)]
        : [
            page.pathText(id),
            ...(page.data.support[id] === 0
              ? ['no rows']
              : [`F1 ${page.score(page.f1(id))} · ${page.rows(page.data.support[id]!)}`]),
          ]
    tip.replaceChildren(...lines.map((line) => h('div', {}, line)))
    tip.setAttribute('data-shown', '')
    const edge = document.documentElement.clientWidth
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, edge - tip.offsetWidth - 4))}px`
    tip.style.top = `${event.clientY + 18}px`
  })
  board.addEventListener('pointerleave', () => tip.removeAttribute('data-shown'))
  board.addEventListener('keydown', (event) => {
    const id = idAt(event)
    if (id === undefined) return
    if (event.key === 'Enter' || event.key === ' ') choose(id)
    else if (event.key === 'Escape') page.select(page.selected() < 0 ? -1 : page.parent(page.selected()))
    else {
      const siblings = id < 0 ? [] : page.children(page.parent(id)).filter((other) => drawn.has(other))
      const next =
        event.key === 'ArrowDown'
          ? siblings[siblings.indexOf(id) + 1]
          : event.key === 'ArrowUp'
            ? siblings[siblings.indexOf(id) - 1]
            : event.key === 'ArrowRight'
              ? page.children(id).find((child) => drawn.has(child))
              : event.key === 'ArrowLeft' && id >= 0
                ? page.parent(id)
                : undefined
      if (next === undefined) return
      drawn.get(next)?.focus()
    }
    event.preventDefault()
  })
  page.onSelect((id) => {
    const held = board.contains(document.activeElement)
    tip.removeAttribute('data-shown')
    render()
    if (held) (drawn.get(id) ?? drawn.get(focusOf(id)))?.focus()
  })
  new ResizeObserver(render).observe(board)
  render()
}
