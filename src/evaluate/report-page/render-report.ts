/** A report as one HTML file: no network, light and dark, from a phone to a wall, by keyboard, and on paper. */
import type { Report } from '../report.ts'
import { count } from './format.ts'
import { Html, html, scriptJson } from './html.ts'
import { pageData } from './page-data.ts'
import { pageScript } from './script.ts'
import { headline, levelTable, measures, reproduce } from './sections.ts'
import { style } from './style.ts'

const steps = ['< .5', '.5', '.7', '.8', '.9', '.95', '1']

/**
 * Renders a report as a self-contained page.
 * @throws InputError if the report's label tree is not one
 * @example await writeFileAtomic('report.html', renderReport(report))
 */
export function renderReport(report: Report): string {
  const data = pageData(report)
  const { metrics } = report
  const size = count(metrics.perLabel.length)
  const split = report.data.split === undefined ? '' : ` · ${report.data.split}`
  const facts = [
    `${count(metrics.n)} rows`,
    `${size} labels, ${metrics.levels.length} ${metrics.levels.length === 1 ? 'level' : 'levels'}`,
    ...Object.values(report.model).slice(0, 2).map(String),
  ]
  const curves = report.curves.some((curve) => curve.points.length > 0)
  const sections: [id: string, title: string, note: string, body: Html][] = [
    ['labels', 'Labels', 'F1, precision and recall of every label', html`<div id="label-table"></div>`],
    ['confusions', 'Confused siblings', 'open a pair to read its rows', html`<div id="confusion-list"></div>`],
  ]
  const charts =
    curves && data.reliability.length > 0 ? 'Training and calibration' : curves ? 'Training' : 'Calibration'
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${report.title}</title>
<link rel="icon" href="data:,">
<style>${new Html(style)}</style>
</head>
<body>
<header>
<div><h1>${report.title}</h1>
<p>${report.data.name}${split}</p></div>
<p class="facts">${facts.map((fact) => html`<span>${fact}</span>`)}<time datetime="${report.created}">${report.created.slice(0, 10)}</time></p>
<nav aria-label="Sections"><a href="#tree">Tree</a><a href="#labels">Labels</a><a href="#confusions">Confusions</a>${
    curves || data.reliability.length > 0 ? html`<a href="#charts">Curves</a>` : ''
  }<a href="#rows">Rows</a><a href="#again">Reproduce</a></nav>
</header>
<main>
<section id="summary" aria-label="Summary">
${headline(report)}
<div class="summary">${levelTable(report)}${measures(report)}</div>
</section>
<noscript><p class="note">The tree, the label table, the curves and the rows are drawn by a script in this file, which this browser does not run.</p></noscript>
<section id="tree">
<h2>Label tree <small>area: gold rows · colour: F1 · click a label to zoom and to see its rows</small>
<span class="legend" role="img" aria-label="Colours from F1 below .5, orange, to 1, blue">${steps.map(
    (step, i) => html`<span class="shade-${i}">${step}</span>`,
  )}</span></h2>
<div class="tree"><div id="map-board"></div><aside id="detail" tabindex="-1" aria-label="Selected label"></aside></div>
</section>
<div class="two">
${sections.map(([id, title, note, body]) => html`<section id="${id}"><h2>${title} <small>${note}</small></h2>${body}</section>`)}
</div>
${
  curves || data.reliability.length > 0
    ? html`<section id="charts"><h2>${charts}</h2><div id="chart-list"></div></section>`
    : html`<div id="chart-list" hidden></div>`
}
<section id="rows"><h2>Rows <small>an even sample, and the rows behind the errors; the bar under a label is its probability</small></h2><div id="row-list"></div></section>
<section id="again"><h2>Reproduce</h2>
${reproduce(report)}</section>
</main>
<div id="tip" role="presentation"></div>
<script type="application/json" id="report-data">${scriptJson(data)}</script>
<script>${new Html(pageScript())}</script>
</body>
</html>
`
  return page.source
}
