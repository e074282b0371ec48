/** The label tree as a zoomable icicle: levels from left to right, area = support, colour = F1. A click selects a label and zooms to it. */
import type { MapLayout } from './map-layout.ts'
import type { Page } from './page.ts'

export function drawMap(page: Page, layout: MapLayout, host: HTMLElement, tip: HTMLElement): void {
  const { h, size } = page
  const strip = 26
  const drawn = new Map<number, HTMLElement>()
  const board = h('div', {
    class: 'board',
    role: 'group',
    'aria-label': 'Label tree. Arrow keys move, Enter zooms, Escape goes up.',
  })
  host.append(board)

  /** The label whose inside is shown: the selected one or the nearest above it with several children that have rows. */
  const focusOf = (id: number): number => {
    let at = id
    while (at >= 0 && page.children(at).filter((child) => page.data.support[child]! > 0).length < 2)
      at = page.parent(at)
    return at
  }
  const nameOf = (id: number): string => (id < 0 ? 'All labels' : page.title(id))
  const describe = (id: number): string =>
    id < 0
      ? `All ${page.count(size)} labels`
      : page.data.support[id] === 0
        ? `${page.pathText(id)}: no rows`
        : `${page.pathText(id)}: F1 ${page.score(page.f1(id))}, ${page.rows(page.data.support[id]!)}`

  /** What fits beside a name. */
  const figures = (id: number, width: number): HTMLElement[] => [
    ...(width > 250 ? [h('i', {}, page.rows(page.data.support[id]!))] : []),
    ...(width > 110 ? [h('b', {}, page.score(page.f1(id)))] : []),
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
    const strips = [-1, ...(focus < 0 ? [] : page.path(focus))]
    for (const [i, id] of strips.entries()) {
      keep.add(id)
      const element = place(id, [i * strip, 0, strip - 1, height], 'strip')
      element.replaceChildren(h('span', {}, nameOf(id)))
    }
    const left = strips.length * strip
    for (const box of layout.boxes(focus, width - left, height)) {
      const { id } = box
      keep.add(id)
      const kind = box.pileF1 !== undefined ? 'pile thin' : box.height < 17 ? 'low' : ''
      const element = place(id, [left + box.left, box.top, box.width - 1, box.height], kind)
      if (box.pileF1 !== undefined) {
        element.className = `node pile thin ${page.shadeOf(box.pileF1)}`
        element.replaceChildren()
        continue
      }
      if (id === chosen) element.classList.add('chosen')
      if (box.more && box.height >= 12) element.classList.add('inner')
      element.replaceChildren(...(box.height < 12 ? [] : [h('span', {}, nameOf(id)), ...figures(id, box.width)]))
    }
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
      // What is seen is short; what is heard is whole.
      for (const child of element.children) child.setAttribute('aria-hidden', 'true')
      const heard = element.classList.contains('pile') ? `${describe(id)}, and its neighbours` : describe(id)
      element.append(h('em', {}, heard))
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
