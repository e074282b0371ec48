/** The rows the report carries, to read: all, the mistaken or the right ones, and by words. */
import type { Page } from './page.ts'
import type { RowViews } from './row-view.ts'

export function drawRows(page: Page, rows: RowViews, host: HTMLElement): void {
  const { h } = page
  const state = { kind: 'mistaken', query: '' }
  const list = h('div')
  const found = h('span', { class: 'note', role: 'status' })
  const render = (): void => {
    const query = state.query.toLowerCase()
    const shown = rows.judged.filter(
      (item) =>
        (state.kind === 'all' || item.right === (state.kind === 'right')) &&
        (query === '' || item.row.text.toLowerCase().includes(query)),
    )
    found.textContent = `${page.count(shown.length)} of the ${page.count(rows.judged.length)} rows kept here`
    list.replaceChildren(page.growing(shown, 12, rows.view))
  }
  const search = h('input', {
    type: 'search',
    placeholder: 'Search texts',
    'aria-label': 'Search texts',
  }) as HTMLInputElement
  search.addEventListener('input', () => {
    state.query = search.value.trim()
    render()
  })
  const kind = page.choice('Which rows', ['mistaken', 'right', 'all'], 'mistaken', (option) => {
    state.kind = option
    render()
  })
  host.append(h('div', { class: 'tools' }, search, kind, found), list)
  render()
}
