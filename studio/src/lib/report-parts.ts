/** The report page's parts (tree, labels, confusions, rows, charts) as Svelte attachments; which label is selected is told to the address. */
import type { Attachment } from 'svelte/attachments'
import { confusionTables } from '../../../src/evaluate/report-page/client/confusion-tables.ts'
import { drawConfusions } from '../../../src/evaluate/report-page/client/confusions.ts'
import { drawCurves } from '../../../src/evaluate/report-page/client/curves.ts'
import { drawDetail } from '../../../src/evaluate/report-page/client/detail.ts'
import { drawLabels } from '../../../src/evaluate/report-page/client/labels.ts'
import { drawMap } from '../../../src/evaluate/report-page/client/map.ts'
import { mapLayout } from '../../../src/evaluate/report-page/client/map-layout.ts'
import { createPage, type Page } from '../../../src/evaluate/report-page/client/page.ts'
import { createPlot } from '../../../src/evaluate/report-page/client/plot.ts'
import { drawReliability } from '../../../src/evaluate/report-page/client/reliability-chart.ts'
import { rowViews } from '../../../src/evaluate/report-page/client/row-view.ts'
import { drawRows, type RowFilter } from '../../../src/evaluate/report-page/client/rows.ts'
import type { PageData } from '../../../src/evaluate/report-page/page-data.ts'

export interface ReportParts {
  page: Page
  /** Selects a label without telling the address. */
  show(id: number): void
  map: Attachment<HTMLElement>
  detail: Attachment<HTMLElement>
  labels: Attachment<HTMLElement>
  confusions: Attachment<HTMLElement>
  rows: Attachment<HTMLElement>
  charts: Attachment<HTMLElement>
  /** Shows rows of a filter, once the rows are drawn. */
  showRows(filter: RowFilter): void
}

/** A page over the data whose selection is kept by its owner. */
export function pageOf(
  data: PageData,
  selected: number,
  onSelect: (id: number) => void,
): Page & { show(id: number): void } {
  const listeners: ((id: number) => void)[] = []
  let at = selected
  const page = createPage(data)
  const show = (id: number): void => {
    at = id
    for (const listener of listeners) listener(id)
  }
  return Object.assign(page, {
    show,
    selected: () => at,
    select(id: number) {
      show(id)
      onSelect(id)
    },
    onSelect: (listener: (id: number) => void) => void listeners.push(listener),
  })
}

export function reportParts(data: PageData, selected: number, onSelect: (id: number) => void): ReportParts {
  const page = pageOf(data, selected, onSelect)
  const rows = rowViews(page)
  let showRows: (filter: RowFilter) => void = () => undefined
  /** Draws into an empty place, and leaves it empty. */
  const drawn =
    (draw: (host: HTMLElement) => void): Attachment<HTMLElement> =>
    (host) => {
      draw(host)
      return () => host.replaceChildren()
    }
  return {
    page,
    show: page.show,
    map: drawn((host) => {
      const tip = page.h('div', { id: 'tip', role: 'presentation' })
      host.append(tip)
      drawMap(page, mapLayout(page), host, tip)
    }),
    detail: drawn((host) => drawDetail(page, rows, confusionTables(page), host)),
    labels: drawn((host) => drawLabels(page, host)),
    confusions: drawn((host) => drawConfusions(page, rows, host)),
    rows: drawn((host) => {
      showRows = drawRows(page, rows, host)
    }),
    charts: drawn((host) => {
      const plot = createPlot(page)
      drawCurves(page, plot, host)
      drawReliability(page, plot, (filter) => showRows(filter), host)
    }),
    showRows: (filter) => showRows(filter),
  }
}
