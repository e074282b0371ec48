/** Starts the page's script: reads the data and draws every part into its place. */
import type { PageData } from '../page-data.ts'
import type { confusionTables } from './confusion-tables.ts'
import type { drawConfusions } from './confusions.ts'
import type { drawCurves } from './curves.ts'
import type { drawDetail } from './detail.ts'
import type { drawLabels } from './labels.ts'
import type { drawMap } from './map.ts'
import type { mapLayout } from './map-layout.ts'
import type { createPage } from './page.ts'
import type { createPlot } from './plot.ts'
import type { drawReliability } from './reliability-chart.ts'
import type { rowViews } from './row-view.ts'
import type { drawRows } from './rows.ts'

export interface Parts {
  createPage: typeof createPage
  rowViews: typeof rowViews
  mapLayout: typeof mapLayout
  drawMap: typeof drawMap
  confusionTables: typeof confusionTables
  drawDetail: typeof drawDetail
  drawLabels: typeof drawLabels
  drawConfusions: typeof drawConfusions
  drawRows: typeof drawRows
  createPlot: typeof createPlot
  drawCurves: typeof drawCurves
  drawReliability: typeof drawReliability
}

export function start(parts: Parts): void {
  const host = (id: string): HTMLElement => document.getElementById(id)!
  const page = parts.createPage(JSON.parse(host('report-data').textContent!) as PageData)
  const rows = parts.rowViews(page)
  const asked = /^#label-(\d+)$/.exec(location.hash)?.[1]
  if (asked !== undefined && Number(asked) < page.size) page.select(Number(asked))
  parts.drawMap(page, parts.mapLayout(page), host('map-board'), host('tip'))
  parts.drawDetail(page, rows, parts.confusionTables(page), host('detail'))
  parts.drawLabels(page, host('label-table'))
  parts.drawConfusions(page, rows, host('confusion-list'))
  const showRows = parts.drawRows(page, rows, host('row-list'))
  const plot = parts.createPlot(page)
  parts.drawCurves(page, plot, host('chart-list'))
  parts.drawReliability(page, plot, showRows, host('chart-list'))
  for (const link of document.querySelectorAll<HTMLElement>('[data-mistaken]')) {
    const level = Number(link.dataset['mistaken'])
    link.addEventListener('click', (event) => {
      event.preventDefault()
      showRows({
        kind: 'mistaken',
        what: level === 0 ? 'wrong anywhere' : `wrong on level ${level}`,
        // A label that is on one side only is wrong; on level 0, any will do.
        keep: ({ gold, predicted }) =>
          [...gold, ...predicted].some(
            (id) => gold.has(id) !== predicted.has(id) && (level === 0 || page.level(id) === level),
          ),
      })
    })
  }
  for (const button of document.querySelectorAll<HTMLElement>('[data-copy]')) {
    button.addEventListener('click', () => {
      void navigator.clipboard?.writeText(host(button.dataset['copy']!).textContent!).then(() => {
        button.textContent = 'copied'
      })
    })
  }
}
