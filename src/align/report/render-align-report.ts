/** The report of a merge after alignment as one HTML file: what each task scored as a specialist, merged, and with its fitted head, and what it cost. */
import { count, seconds } from '../../evaluate/report-page/format.ts'
import { type Html, html } from '../../evaluate/report-page/html.ts'
import { type PagePart, plainPage } from '../../evaluate/report-page/plain-page.ts'
import type { AlignResult, TaskAlignment } from '../align.ts'
import type { TaskScores } from '../task-scores.ts'

const ownStyle = `
.tasks { overflow-x: auto; }
.tasks td, .tasks th { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.tasks thead th { text-align: right; } .tasks thead th:first-child { text-align: left; }
.tasks tbody tr:last-child th, .tasks tbody tr:last-child td { border-bottom: 0; }
.tasks .mean th, .tasks .mean td { font-weight: 600; }
.merged { color: var(--orange); } .expert { color: var(--blue); }
.bar { display: block; height: 6px; width: 100px; margin-top: 3px; background: var(--wash); position: relative; }
.bar i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--s4); }
.bar u { position: absolute; top: -2px; bottom: -2px; width: 2px; background: var(--orange); }
.bar s { position: absolute; top: -2px; bottom: -2px; width: 2px; background: var(--blue); }
`

const moments = ['specialist', 'merged', 'aligned'] as const
const figures: readonly { key: keyof TaskScores; name: string; note: string }[] = [
  { key: 'accuracy', name: 'Accuracy', note: 'share of texts whose label path is right' },
  {
    key: 'hierarchicalF1',
    name: 'Hierarchical F1',
    note: 'labels and their ancestors; of tasks whose labels form a tree',
  },
  { key: 'ece', name: 'Calibration error', note: 'expected calibration error of the answers, 15 bins; 0 is best' },
]

export interface AlignReportOptions {
  /** Seconds of steps before alignment, by name, such as the merge. */
  readonly seconds?: Readonly<Record<string, number>>
  /** Further parts of the page, such as the map of how the models agree. */
  readonly parts?: readonly PagePart[]
}

/**
 * Renders what alignment did as a self-contained page.
 * @example await writeFile('report.html', renderAlignReport(await align('merged', data, { out: 'aligned' })))
 */
export function renderAlignReport(result: AlignResult, options: AlignReportOptions = {}): string {
  const { method, seed, tasks } = result
  const measured = tasks.filter(({ scores }) => scores !== undefined)
  const facts = [
    `${count(tasks.length)} task${tasks.length === 1 ? '' : 's'}`,
    method.name,
    `${count(tasks.reduce((sum, { texts }) => sum + texts, 0))} texts to align with`,
    `${count(tasks.reduce((sum, { otherTexts }) => sum + otherTexts, 0))} texts measured on`,
    `seed ${seed}`,
  ]
  const sections = html`${measured.length === 0 ? noRows : figures.map((figure) => figureSection(figure, measured))}
${distanceSection(tasks)}${costSection(result, options.seconds ?? {})}`
  return plainPage(`Merged and aligned: ${result.folder.replace(/^.*[\\/]/, '')}`, facts, [
    { sections, style: ownStyle },
    ...(options.parts ?? []),
  ])
}

const noRows = html`<section><h2>Scores</h2><p class="note">No text was left to measure on: give more rows a label than the method draws, or rows to test on.</p></section>`

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const shown = (value: number): string => value.toFixed(3)

function figureSection({ key, name, note }: (typeof figures)[number], tasks: readonly TaskAlignment[]): Html {
  const rows = tasks.filter(({ scores }) => scores!.specialist[key] !== undefined)
  if (rows.length === 0) return html``
  const values = rows.map(({ scores }) => moments.map((when) => scores![when][key]!))
  const means = moments.map((_, m) => mean(values.map((row) => row[m]!)))
  return html`<section><h2>${name} <small>${note}</small></h2>
<div class="tasks"><table><thead><tr><th scope="col">task</th>${moments.map((when) => html`<th scope="col">${when}</th>`)}${(key === 'ece' ? ['worse by merging', 'better by aligning'] : ['lost by merging', 'won back']).map((name) => html`<th scope="col">${name}</th>`)}<th scope="col">texts</th>${key === 'ece' ? html`` : html`<th scope="col">aligned <span class="merged">merged</span> <span class="expert">specialist</span></th>`}</tr></thead>
<tbody>${rows.map(({ task, otherTexts }, t) => line(task, values[t]!, otherTexts, key))}
${rows.length > 1 ? line('mean', means, undefined, key, 'mean') : undefined}</tbody></table></div></section>`
}

function line(
  name: string,
  values: readonly number[],
  texts: number | undefined,
  key: keyof TaskScores,
  kind = '',
): Html {
  const [specialist, merged, aligned] = values as [number, number, number]
  const lost = key === 'ece' ? merged - specialist : specialist - merged
  const won = key === 'ece' ? merged - aligned : aligned - merged
  const at = (value: number) => `${(100 * Math.min(1, Math.max(0, value))).toFixed(1)}%`
  const bar = html`<td><span class="bar" role="img" aria-label="merged ${shown(merged)}, aligned ${shown(aligned)}, specialist ${shown(specialist)}"><i style="width:${at(aligned)}"></i><u style="left:${at(merged)}"></u><s style="left:${at(specialist)}"></s></span></td>`
  return html`<tr class="${kind}"><th scope="row">${name}</th>${values.map((value) => html`<td>${shown(value)}</td>`)}<td>${shown(lost)}</td><td>${shown(won)}${lost > 0.0005 && key !== 'ece' ? html` <small>${Math.round((100 * won) / lost)} %</small>` : undefined}</td><td>${texts === undefined ? '' : count(texts)}</td>${key === 'ece' ? html`` : bar}</tr>`
}

function distanceSection(tasks: readonly TaskAlignment[]): Html {
  const share = (value: number | undefined) => (value === undefined ? '' : shown(value))
  return html`<section><h2>Merged encoder and specialists <small>distance: of the vectors that heads read, over the specialist's length; agreement: share of texts with the specialist's answer</small></h2>
<div class="tasks"><table><thead><tr>${['task', 'texts aligned with', 'distance', 'after the best rotation', 'agreement merged', 'agreement aligned'].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${tasks.map(
    ({ task, texts, distance, distanceRotated, agreementBefore, agreementAfter }) =>
      html`<tr><th scope="row">${task}</th><td>${count(texts)}</td><td>${shown(distance)}</td><td>${shown(distanceRotated)}</td><td>${share(agreementBefore)}</td><td>${share(agreementAfter)}</td></tr>`,
  )}</tbody></table></div></section>`
}

function costSection({ tasks, seconds: total }: AlignResult, before: Readonly<Record<string, number>>): Html {
  const sum = (step: 'vectors' | 'fit') => tasks.reduce((all, { seconds }) => all + seconds[step], 0)
  const rest = Math.max(0, total - sum('vectors') - sum('fit'))
  const steps = [
    ...Object.entries(before),
    ['vectors of both encoders', sum('vectors')] as const,
    ['fitting the heads', sum('fit')] as const,
    ['reading models, scoring', rest] as const,
  ]
  return html`<section><h2>What it cost</h2><div class="tasks"><table><tbody>${steps.map(
    ([name, value]) => html`<tr><th scope="row">${name}</th><td>${seconds(value)}</td></tr>`,
  )}</tbody></table></div></section>`
}
