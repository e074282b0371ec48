/** The parts of a report page that need no script: headline figures, levels, measures, and how to do it again. */
import type { Metrics } from '../metrics.ts'
import type { Report } from '../report.ts'
import { bytes, count, plain, score, seconds } from './format.ts'
import { type Html, html } from './html.ts'

/** A number with its exact value on hover, as a link to what lies behind it. */
const figure = (name: string, value: number, note: string | undefined, behind: Html): Html =>
  html`<div><dd><a ${behind} title="${value}">${score(value)}</a></dd><dt>${name}${note === undefined ? '' : html` <small>${note}</small>`}</dt></div>`

export function headline({ metrics }: Report): Html {
  const single = metrics.levels.length === 1
  const labels = html`href="#labels"`
  const mistaken = (level: number): Html => html`href="#rows" data-mistaken="${level}"`
  return html`<dl class="figures">
${figure('exact path', metrics.exactPath, single ? undefined : 'all levels right', mistaken(0))}
${
  single
    ? ''
    : metrics.levels.map(({ level, accuracy }) => figure(`level ${level}`, accuracy, 'accuracy', mistaken(level)))
}
${figure('micro-F1', metrics.microF1, 'all labels', labels)}
${figure('macro-F1', metrics.macroF1, 'all labels', labels)}
${figure('hierarchical F1', metrics.hierarchical.f1, undefined, labels)}
${metrics.ece === undefined ? '' : figure('ECE', metrics.ece, 'calibration error', html`href="#charts"`)}
${metrics.abstained > 0 ? figure('stopped early', metrics.abstained, 'above a leaf', html`href="#rows"`) : ''}
</dl>`
}

export function levelTable({ metrics }: Report): Html {
  const rows = metrics.levels.map(
    (level) => html`<tr><th scope="row">${level.level}</th>
<td class="share" style="--w:${level.accuracy}"><a href="#rows" data-mistaken="${level.level}" title="${level.accuracy}">${score(level.accuracy)}</a></td>
<td title="${level.microF1}">${score(level.microF1)}</td><td title="${level.macroF1}">${score(level.macroF1)}</td>
<td>${count(level.support)}</td></tr>`,
  )
  return html`<table class="levels"><thead><tr><th scope="col">level</th><th scope="col">accuracy</th>
<th scope="col">micro-F1</th><th scope="col">macro-F1</th><th scope="col">gold labels</th></tr></thead>
<tbody>${rows}</tbody></table>`
}

/** Every other number of the metrics, by group. */
export function measures({ metrics }: Report): Html {
  const groups = measureGroups(metrics).map(
    ([title, entries]) =>
      html`<section><h4>${title}</h4><dl>${entries.map(
        ([name, value]) => html`<div><dt>${name}</dt><dd title="${value}">${score(value)}</dd></div>`,
      )}</dl></section>`,
  )
  return html`<div class="measures">${groups}</div>`
}

type Entries = [name: string, value: number][]

function measureGroups(metrics: Metrics): [title: string, entries: Entries][] {
  const { hierarchical, pathConstrained, pathStrict } = metrics
  const at = (name: string, values: Record<string, number> | undefined): Entries =>
    Object.entries(values ?? {}).map(([k, value]) => [`${name}@${k}`, value])
  const known = (name: string, value: number | undefined): Entries => (value === undefined ? [] : [[name, value]])
  const groups: [string, Entries][] = [
    [
      'Hierarchical',
      [
        ['precision', hierarchical.precision],
        ['recall', hierarchical.recall],
        ['F1', hierarchical.f1],
        ['precision, mean of rows', hierarchical.perSample.precision],
        ['recall, mean of rows', hierarchical.perSample.recall],
        ['F1, mean of rows', hierarchical.perSample.f1],
      ],
    ],
    [
      'Whole paths',
      [
        ['leaf accuracy', metrics.leafAccuracy],
        ['path-constrained micro-F1', pathConstrained.microF1],
        ['path-constrained macro-F1', pathConstrained.macroF1],
        ['strict path micro-F1', pathStrict.microF1],
        ['strict path macro-F1', pathStrict.macroF1],
        ['consistent with the tree', metrics.consistency],
      ],
    ],
    [
      'Ranking',
      [
        ...at('P', metrics.precisionAt),
        ...at('R', metrics.recallAt),
        ...at('nDCG', metrics.ndcgAt),
        ...known('R-precision', metrics.rPrecision),
        ...at('PSP', metrics.propensityScoredPrecisionAt),
      ],
    ],
    [
      'Probabilities',
      [
        ...known('expected calibration error', metrics.ece),
        ...known('Brier score', metrics.brier),
        ...known('negative log-likelihood, nats', metrics.nll),
        ['stopped above a leaf', metrics.abstained],
      ],
    ],
  ]
  return groups.filter(([, entries]) => entries.length > 0)
}

export function reproduce(report: Report): Html {
  const pairs = (title: string, entries: [string, string][]): Html | '' =>
    entries.length === 0
      ? ''
      : html`<section><h4>${title}</h4><dl>${entries.map(
          ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
        )}</dl></section>`
  const text = (value: unknown): string =>
    typeof value === 'string' ? value : typeof value === 'number' ? plain(value) : JSON.stringify(value)
  const strings = (record: Record<string, unknown>): [string, string][] =>
    Object.entries(record).map(([key, value]) => [key, text(value)])
  const inputs = report.inputs.map(
    (input) => html`<tr><th scope="row">${input.role}</th><td>${input.path}</td>
<td>${input.rows === undefined ? '' : count(input.rows)}</td><td>${input.bytes === undefined ? '' : bytes(input.bytes)}</td>
<td><code>${input.sha256}</code></td></tr>`,
  )
  const command =
    report.command === ''
      ? ''
      : html`<div class="command"><pre id="command">${report.command}</pre><button type="button" data-copy="command">copy</button></div>`
  return html`${command}
<div class="measures">
${pairs('Model', strings(report.model))}
${pairs('Options', strings(report.options))}
${pairs('Seeds', strings(report.seeds))}
${pairs(
  'Time',
  Object.entries(report.seconds).map(([name, value]) => [name, seconds(value)]),
)}
${pairs('Versions', strings(report.machine === undefined ? report.versions : { ...report.versions, machine: report.machine }))}
</div>
${
  inputs.length === 0
    ? ''
    : html`<div class="wide"><table class="inputs"><thead><tr><th scope="col">input</th><th scope="col">file</th><th scope="col">rows</th>
<th scope="col">size</th><th scope="col">SHA-256</th></tr></thead><tbody>${inputs}</tbody></table></div>`
}`
}
