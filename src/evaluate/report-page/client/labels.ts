/** Every label in a table: as a tree that opens, or as a list; sorted by any column, searched by name. Rows are made as they are needed. */
import type { Page } from './page.ts'

export function drawLabels(page: Page, host: HTMLElement): void {
  const { h, data, size } = page
  const columns: { name: string; of(id: number): number; text(id: number): string }[] = [
    {
      name: 'F1',
      of: page.f1,
      text: (id) => (data.support[id]! + data.predicted[id]! === 0 ? '–' : page.score(page.f1(id))),
    },
    {
      name: 'precision',
      of: page.precision,
      text: (id) => (data.predicted[id] === 0 ? '–' : page.score(page.precision(id))),
    },
    { name: 'recall', of: page.recall, text: (id) => (data.support[id] === 0 ? '–' : page.score(page.recall(id))) },
    { name: 'gold', of: (id) => data.support[id]!, text: (id) => page.count(data.support[id]!) },
    { name: 'predicted', of: (id) => data.predicted[id]!, text: (id) => page.count(data.predicted[id]!) },
  ]
  const state = { column: -1, falling: false, query: '', list: false, shown: 100 }
  // A short first level would leave the table empty: its labels start open.
  const open = new Set<number>(page.children(-1).length < 25 ? page.children(-1) : [])
  const body = h('tbody')
  const more = h('button', { type: 'button', class: 'more' })
  const found = h('span', { class: 'note', role: 'status' })

  const order = (ids: readonly number[]): number[] => {
    const column = columns[state.column]
    if (!column) return [...ids].sort((a, b) => page.title(a).localeCompare(page.title(b)) * (state.falling ? -1 : 1))
    const sign = state.falling ? -1 : 1
    return [...ids].sort((a, b) => sign * (column.of(a) - column.of(b)) || a - b)
  }
  /** Ids in the order of the table. */
  const listed = (): number[] => {
    const query = state.query.toLowerCase()
    if (query !== '')
      return order(
        [...data.names.keys()].filter(
          (id) => page.pathText(id).toLowerCase().includes(query) || data.names[id]!.toLowerCase().includes(query),
        ),
      )
    if (state.list) return order([...data.names.keys()].filter((id) => data.support[id]! + data.predicted[id]! > 0))
    const ids: number[] = []
    const visit = (id: number): void => {
      for (const child of order(page.children(id))) {
        ids.push(child)
        if (open.has(child)) visit(child)
      }
    }
    visit(-1)
    return ids
  }
  const rowOf = (id: number, tree: boolean): HTMLElement => {
    const inner = page.children(id).length > 0
    const toggle = (): void => {
      if (!open.delete(id)) open.add(id)
      render()
      body.querySelector<HTMLElement>(`[data-toggle="${id}"]`)?.focus()
    }
    const mark =
      tree && inner
        ? h('button', {
            type: 'button',
            class: 'toggle',
            'data-toggle': id,
            'aria-expanded': String(open.has(id)),
            'aria-label': `${open.has(id) ? 'Close' : 'Open'} ${page.title(id)}`,
            onclick: toggle,
          })
        : h('span', { class: 'toggle' })
    const above = tree || page.level(id) === 1 ? undefined : h('small', {}, page.pathText(page.parent(id)))
    return h(
      'tr',
      { 'data-id': id, class: page.selected() === id ? 'chosen' : undefined },
      h(
        'th',
        { scope: 'row', style: `--indent:${tree ? page.level(id) - 1 : 0}` },
        h(
          'div',
          {},
          tree && mark,
          h(
            'span',
            {},
            page.labelButton(id),
            page.title(id) !== data.names[id] && h('small', {}, data.names[id]!),
            above,
          ),
        ),
      ),
      ...columns.map((column, i) =>
        i === 0
          ? h('td', { class: `f1 ${page.shade(id)}`, style: `--w:${page.f1(id)}` }, h('b', {}, column.text(id)))
          : h('td', {}, column.text(id)),
      ),
    )
  }
  const render = (): void => {
    const ids = listed()
    const tree = !state.list && state.query === ''
    body.replaceChildren(...ids.slice(0, state.shown).map((id) => rowOf(id, tree)))
    const left = ids.length - Math.min(ids.length, state.shown)
    more.hidden = left === 0
    more.textContent = `Show ${page.count(Math.min(200, left))} of ${page.count(left)} more`
    found.textContent = state.query === '' ? '' : `${page.count(ids.length)} found`
    for (const [i, head] of heads.entries()) {
      const current = i - 1 === state.column && (state.column >= 0 || state.falling || state.list)
      head.setAttribute('aria-sort', current ? (state.falling ? 'descending' : 'ascending') : 'none')
    }
  }
  const sortBy = (column: number): void => {
    // Scores open with the weakest, counts with the largest.
    if (state.column === column) state.falling = !state.falling
    else state.falling = column >= 3
    state.column = column
    render()
  }
  const heads = ['label', ...columns.map((column) => column.name)].map((name, i) =>
    h('th', { scope: 'col' }, h('button', { type: 'button', onclick: () => sortBy(i - 1) }, name)),
  )
  more.addEventListener('click', () => {
    state.shown += 200
    render()
  })
  const search = h('input', {
    type: 'search',
    placeholder: `Search ${page.count(size)} labels`,
    'aria-label': 'Search labels',
  }) as HTMLInputElement
  search.addEventListener('input', () => {
    state.query = search.value.trim()
    state.shown = 100
    render()
  })
  const deep = [...data.names.keys()].some((id) => page.children(id).length > 0)
  state.list = !deep
  const mode = page.choice('Order of labels', ['tree', 'list'], 'tree', (option) => {
    state.list = option === 'list'
    state.shown = 100
    render()
  })
  host.append(
    h('div', { class: 'tools' }, search, deep && mode, found),
    h('div', { class: 'scroll' }, h('table', { class: 'labels' }, h('thead', {}, h('tr', {}, ...heads)), body), more),
  )
  page.onSelect((id) => {
    for (const above of id < 0 ? [] : page.path(id).slice(0, -1)) open.add(above)
    render()
    const row = body.querySelector<HTMLElement>(`[data-id="${id}"]`)
    const box = row?.closest<HTMLElement>('.scroll')
    // Only the table scrolls: the page stays where the reader is.
    if (row && box && !row.contains(document.activeElement)) box.scrollTop = row.offsetTop - box.clientHeight / 2
  })
  render()
}
