/** The page's script: the source of the functions in client/, put together. They take what they need as arguments, so their source is complete. */
import { confusionTables } from './client/confusion-tables.ts'
import { drawConfusions } from './client/confusions.ts'
import { drawCurves } from './client/curves.ts'
import { drawDetail } from './client/detail.ts'
import { drawLabels } from './client/labels.ts'
import { drawMap } from './client/map.ts'
import { mapLayout } from './client/map-layout.ts'
import { createPage } from './client/page.ts'
import { createPlot } from './client/plot.ts'
import { drawReliability } from './client/reliability-chart.ts'
import { rowViews } from './client/row-view.ts'
import { drawRows } from './client/rows.ts'
import { type Parts, start } from './client/start.ts'

const parts: Parts = {
  createPage,
  rowViews,
  mapLayout,
  drawMap,
  confusionTables,
  drawDetail,
  drawLabels,
  drawConfusions,
  drawRows,
  createPlot,
  drawCurves,
  drawReliability,
}

export function pageScript(): string {
  const sources = Object.entries(parts).map(([name, part]) => `${name}: ${part}`)
  // Some TypeScript runners wrap functions in calls of __name, which only tells their names.
  return `'use strict';\nconst __name = (value) => value;\n(${start})({\n${sources.join(',\n')}\n})`
}
