/** Metrics of a classifier as lines for a terminal: the tree's scores, level by level, and where it goes wrong. */
import type { Confusion, Metrics } from '../evaluate/metrics.ts'
import { formatPath } from '../labels/label-tree.ts'
import { formatCount, formatPercent, formatScore, plural } from './format.ts'
import { facts, table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { printable, textWidth } from './text-width.ts'

const shownPairs = 5
const shownLabels = 5

export function metricLines(metrics: Metrics, terminal: Terminal): string[] {
  const { paint, columns } = terminal
  const { hierarchical, pathConstrained, precisionAt, ndcgAt, ece, brier } = metrics
  const score = (name: string, value: number | undefined) =>
    value === undefined ? [] : [`${name} ${paint('bold', formatScore(value))}`]
  const row = (...scores: string[][]) => scores.flat().join('   ')
  const entries: [string, string | string[]][] = [
    [
      'rows',
      `${formatCount(metrics.n)}${metrics.abstained > 0 ? `, ${formatPercent(metrics.abstained)} of them answered above a leaf or not at all` : ''}`,
    ],
    ['path', row(score('exact', metrics.exactPath), score('leaf', metrics.leafAccuracy))],
    ['F1', row(score('micro', metrics.microF1), score('macro', metrics.macroF1))],
    [
      'hierarchical',
      row(
        score('precision', hierarchical.precision),
        score('recall', hierarchical.recall),
        score('F1', hierarchical.f1),
      ),
    ],
    ['constrained', row(score('micro', pathConstrained.microF1), score('macro', pathConstrained.macroF1))],
  ]
  if (precisionAt && ndcgAt) {
    const top = [1, 3, 5].flatMap((k) => score(`P@${k}`, precisionAt[k as 1 | 3 | 5]))
    entries.push(['ranking', row(top, score('nDCG@3', ndcgAt[3]), score('nDCG@5', ndcgAt[5]))])
  }
  if (ece !== undefined) entries.push(['calibration', row(score('ECE', ece), score('Brier', brier))])
  if (metrics.levels.length > 1) entries.push(['levels', levelTable(metrics)])
  const pairs = worstSiblings(metrics.confusions, columns - 16)
  if (pairs.length > 0) entries.push(['siblings', pairs])
  const weakest = weakestLabels(metrics, columns - 16)
  if (weakest.length > 0) entries.push(['weakest', weakest])
  return facts(entries, (name) => paint('dim', name), columns)
}

function levelTable({ levels }: Metrics): string[] {
  return table(
    [
      { head: 'level' },
      { head: 'accuracy', align: 'right' },
      { head: 'micro-F1', align: 'right' },
      { head: 'macro-F1', align: 'right' },
      { head: 'gold labels', align: 'right' },
    ],
    levels.map((level) => [
      String(level.level),
      formatScore(level.accuracy),
      formatScore(level.microF1),
      formatScore(level.macroF1),
      formatCount(level.support),
    ]),
    60,
  )
}

/** `transfer ↔ pay_bill (9)` for each pair of siblings most often taken for one another, as many as fit one line each. */
function worstSiblings(confusions: readonly Confusion[], width: number): string[] {
  return table(
    [{ flexible: true }, {}, { flexible: true }, { align: 'right' }],
    confusions
      .slice(0, shownPairs)
      .map(({ a, b, count }) => [printable(formatPath(a)), '↔', printable(b.at(-1)!), plural(count, 'row')]),
    width,
  )
}

/** One line of the worst pairs of siblings by bare names, as many as fit. */
export function siblingLine(confusions: readonly Confusion[], width: number): string {
  let line = ''
  for (const { a, b, count } of confusions) {
    const pair = `${printable(a.at(-1)!)} ↔ ${printable(b.at(-1)!)} (${formatCount(count)})`
    const longer = line === '' ? pair : `${line}   ${pair}`
    if (line !== '' && textWidth(longer) > width) break
    line = longer
  }
  return line
}

/** The labels of lowest F1 among those that occur in the data. */
function weakestLabels({ perLabel }: Metrics, width: number): string[] {
  const imperfect = perLabel.filter(({ support, f1 }) => support > 0 && f1 < 1)
  const weakest = imperfect.sort((a, b) => a.f1 - b.f1 || b.support - a.support).slice(0, shownLabels)
  return table(
    [{ flexible: true }, { align: 'right' }, { align: 'right' }],
    weakest.map(({ path, f1, support }) => [
      printable(formatPath(path)),
      `F1 ${formatScore(f1)}`,
      plural(support, 'row'),
    ]),
    width,
  )
}
