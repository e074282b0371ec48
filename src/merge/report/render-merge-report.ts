/** A merge report as one HTML file: a heat map, layers down and models across, of sign conflict or cosine; no network, light and dark. */
import { count } from '../../evaluate/report-page/format.ts'
import { Html, html } from '../../evaluate/report-page/html.ts'
import { type PagePart, plainPage } from '../../evaluate/report-page/plain-page.ts'
import type { MergeReport, MergeReportCell } from './merge-report.ts'

/** Lower limits of the shades 1 to 6, from orange to blue. */
const cosineSteps = [-0.1, 0.1, 0.3, 0.5, 0.7, 0.9]
const conflictSteps = [0.45, 0.4, 0.3, 0.2, 0.1, 0.05]

const cosineShade = (value: number): number => cosineSteps.filter((limit) => value >= limit).length
const conflictShade = (value: number): number => conflictSteps.filter((limit) => value < limit).length

const ownStyle = `
.map { overflow-x: auto; }
.map table { border-spacing: 2px; border-collapse: separate; }
.map thead th { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 180px; overflow: hidden; text-overflow: ellipsis; padding: 2px 4px; }
.map thead th:first-child { writing-mode: initial; transform: none; }
.map th[scope=row] { position: sticky; left: 0; background: var(--paper); padding-right: 10px; white-space: nowrap; }
.map td { min-width: 40px; padding: 3px 5px; text-align: center; font-size: 12.5px; border-radius: 2px; }
${[0, 1, 2, 3, 4, 5, 6].map((i) => `.c${i} { background: var(--s${i}); color: var(--t${i}); }`).join('\n')}
fieldset { border: 0; padding: 0; margin: 0 0 12px; display: flex; flex-wrap: wrap; gap: 4px 18px; }
#value { min-height: 1.5em; margin-top: 10px; }
.keys { display: inline-flex; flex-wrap: wrap; gap: 2px; } .keys span { padding: 0 6px; border-radius: 2px; }
body[data-shown=conflict] .cosine, body[data-shown=cosine] .conflict { display: none; }
@media print { fieldset { display: none; } }
`

/** Arrow keys move through the cells; the cell under the pointer or the focus is spelled out below the map. */
const script = `
const cells = [...document.querySelectorAll('.map td')]
const value = document.getElementById('value')
const rows = [...new Set(cells.map((cell) => cell.parentElement))]
const tell = (cell) => { value.textContent = cell.dataset.text }
for (const cell of cells) {
  cell.addEventListener('mouseenter', () => tell(cell))
  cell.addEventListener('focus', () => tell(cell))
  cell.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key]
    if (!step) return
    event.preventDefault()
    const row = rows[rows.indexOf(cell.parentElement) + step[0]]
    const next = row && row.querySelectorAll('td')[[...cell.parentElement.querySelectorAll('td')].indexOf(cell) + step[1]]
    if (!next) return
    cell.tabIndex = -1
    next.tabIndex = 0
    next.focus()
  })
}
for (const input of document.querySelectorAll('input[name=shown]'))
  input.addEventListener('change', () => { document.body.dataset.shown = input.value })
`

/**
 * Renders a merge report as a self-contained page.
 * @example await writeFile('report.html', renderMergeReport(await mergeReport(plan)))
 */
export function renderMergeReport(report: MergeReport): string {
  const facts = [`${count(report.models.length)} models`, `changes from ${report.origin}`, readShare(report)]
  return plainPage(`Before merging by ${report.method.replaceAll('-', '_')}`, facts, [agreementPart(report)])
}

/** How much of the weights was looked at. */
export function readShare({ read, elements }: MergeReport): string {
  const share = elements === 0 ? 1 : read / elements
  return share > 0.9999
    ? 'all elements read'
    : `${(100 * share).toFixed(1)} % of the elements read, in evenly spaced blocks`
}

/** The map of layers and models, as a part of any page. */
export function agreementPart(report: MergeReport): PagePart {
  const cell = (row: string, model: string, found: MergeReportCell, first: boolean): Html => {
    const { conflict, cosine, change } = found
    const text = `${row} of ${model}: ${percent(conflict)} of its change against the mean, cosine ${cosine.toFixed(3)}, change ${percent(change)} of the weights`
    return html`<td tabindex="${first ? 0 : -1}" data-text="${text}" title="${text}" class="${new Html(`k${conflictShade(conflict)} q${cosineShade(cosine)}`)}"><span class="conflict">${percent(conflict)}</span><span class="cosine">${cosine.toFixed(2)}</span></td>`
  }
  const shades = [0, 1, 2, 3, 4, 5, 6]
    .map(
      (i) =>
        `body[data-shown=conflict] .k${i}, body[data-shown=cosine] .q${i} { background: var(--s${i}); color: var(--t${i}); }`,
    )
    .join('\n')
  const legend = (kind: string, low: string, high: string): Html =>
    html`<span class="${kind} keys" role="img" aria-label="colours from ${low}, blue, to ${high}, orange">${[6, 5, 4, 3, 2, 1, 0].map((i) => html`<span class="c${i}">${i === 6 ? low : i === 0 ? high : new Html('&nbsp;')}</span>`)}</span>`
  const sections = html`<section>
<h2>Layers and models <small class="conflict">share of a model's change whose sign is against the mean change</small><small class="cosine">cosine of a model's change and the mean change</small></h2>
<fieldset><label><input type="radio" name="shown" value="conflict" checked> sign conflict</label><label><input type="radio" name="shown" value="cosine"> cosine</label>
${legend('conflict', 'under 5 %', '45 % or more')}${legend('cosine', '0.9 or more', 'under -0.1')}</fieldset>
<div class="map"><table><thead><tr><th scope="col">layer</th>${report.models.map(({ label, key }) => html`<th scope="col" title="${label}">${key}</th>`)}</tr></thead>
<tbody>${report.rows.map(
    (row, r) =>
      html`<tr><th scope="row" title="${count(row.elements)} elements">${row.name}</th>${row.cells.map((found, t) => cell(row.name, report.models[t]!.key, found, r === 0 && t === 0))}</tr>`,
  )}</tbody></table></div>
<p id="value" class="note" aria-live="polite">Point at a cell, or reach the map with Tab and move with the arrow keys.</p>
</section>`
  return { sections, style: `${ownStyle}\n${shades}`, script, attributes: { 'data-shown': 'conflict' } }
}

const percent = (value: number): string => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`
