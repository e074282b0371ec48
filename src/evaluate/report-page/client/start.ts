/** Starts the page's script: reads the data and draws every part into its place. */
import type { PageData } from '../page-data.ts'
import type { drawCharts } from './charts.ts'
import type { drawConfusions } from './confusions.ts'
import type { drawDetail } from './detail.ts'
import type { drawLabels } from './labels.ts'
import type { drawMap } from './map.ts'
import type { createPage } from './page.ts'
import type { partition } from './partition.ts'
import type { rowViews } from './row-view.ts'
import type { drawRows } from './rows.ts'

export interface Parts {
  createPage: typeof createPage
  rowViews: typeof rowViews
  partition: typeof partition
  drawMap: typeof drawMap
  drawDetail: typeof drawDetail
  drawLabels: typeof drawLabels
  drawConfusions: typeof drawConfusions
  drawCharts: typeof drawCharts
  drawRows: typeof drawRows
}

export function start(parts: Parts): void {
  const host = (id: string): HTMLElement => document.getElementById(id)!
  const page = parts.createPage(JSON.parse(host('report-data').textContent!) as PageData)
  const rows = parts.rowViews(page)
  const asked = /^#label-(\d+)$/.exec(location.hash)?.[1]
  if (asked !== undefined && Number(asked) < page.size) page.select(Number(asked))
  parts.drawMap(page, parts.partition(page), host('map-board'), host('tip'))
  parts.drawDetail(page, rows, host('detail'))
  parts.drawLabels(page, host('label-table'))
  parts.drawConfusions(page, rows, host('confusion-list'))
  parts.drawCharts(page, host('chart-list'))
  parts.drawRows(page, rows, host('row-list'))
  for (const button of document.querySelectorAll<HTMLElement>('[data-copy]')) {
    button.addEventListener('click', () => {
      void navigator.clipboard?.writeText(host(button.dataset['copy']!).textContent!).then(() => {
        button.textContent = 'copied'
      })
    })
  }
}
