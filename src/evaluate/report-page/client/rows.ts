/** The rows the report carries, to read: all, the mistaken or the right ones, by words, or those behind a number elsewhere on the page. */
import type { Page } from './page.ts'
import type { JudgedRow, RowViews } from './row-view.ts'

export interface RowFilter {
  kind: 'mistaken' | 'right' | 'all'
  /** What the rows have in common, as the page says it. */
  what: string
  keep(row: JudgedRow): boolean
}

/** @returns shows the rows of a filter, and brings them into view */
export function drawRows(page: Page, rows: RowViews, host: HTMLElement): (filter: RowFilter) => void {
  const { h } = page
  let kind: RowFilter['kind'] = 'mistaken'
  let query = ''
  let filter: RowFilter | undefined
  const list = h('div')
  const found = h('span', { class: 'note', role: 'status' })
  const only = h('button', { type: 'button', class: 'only', hidden: true })
  const render = (): void => {
    const words = query.toLowerCase()
    const shown = rows.judged.filter(
      (item) =>
        (kind === 'all' || item.right === (kind === 'right')) &&
        (words === '' || item.row.text.toLowerCase().includes(words)) &&
        (filter === undefined || filter.keep(item)),
    )
    only.hidden = filter === undefined
    only.textContent = filter === undefined ? '' : `${filter.what} ×`
    only.setAttribute('aria-label', `No longer only: ${filter?.what}`)
    found.textContent = `${page.count(shown.length)} of the ${page.count(rows.judged.length)} rows kept here`
    list.replaceChildren(page.growing(shown, 12, rows.view))
  }
  const properties = { type: 'search', placeholder: 'Search texts', 'aria-label': 'Search texts' }
  const search = h('input', properties) as HTMLInputElement
  search.addEventListener('input', () => {
    query = search.value.trim()
    render()
  })
  only.addEventListener('click', () => {
    filter = undefined
    render()
  })
  const kinds = ['mistaken', 'right', 'all'] as const
  const choice = page.choice('Which rows', kinds, kind, (option) => {
    kind = option
    render()
  })
  host.append(h('div', { class: 'tools' }, search, choice, only, found), list)
  render()
  return (asked) => {
    filter = asked
    // The button tells and draws.
    ;(choice.children[kinds.indexOf(asked.kind)] as HTMLElement).click()
    host.parentElement!.scrollIntoView()
  }
}
