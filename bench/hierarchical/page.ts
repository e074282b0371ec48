/** The page of the table: what has been measured so far, one table a data set, and the curves over few rows. */
import { provenance, spread, table, writePage } from '../results-page.ts'
import type { Outcome, Scores, Settings } from './cells.ts'

const measures: readonly (readonly [string, (scores: Scores) => number])[] = [
  ['micro-F1', ({ microF1 }) => microF1],
  ['macro-F1', ({ macroF1 }) => macroF1],
  ['C-micro', ({ constrainedMicro }) => constrainedMicro],
  ['C-macro', ({ constrainedMacro }) => constrainedMacro],
  ['P-micro', ({ strictMicro }) => strictMicro],
  ['P-macro', ({ strictMacro }) => strictMacro],
  ['hF', ({ hF }) => hF],
  ['exact path', ({ exactPath }) => exactPath],
]

/** Outcomes in groups of one key, in the order of first appearance. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return [...groups]
}

const scored = (outcomes: readonly Outcome[]): Scores[] => outcomes.flatMap(({ scores }) => scores ?? [])
const seedsOf = (outcomes: readonly Outcome[]): string => String(outcomes.length)

function gridOf(outcomes: readonly Outcome[]): string {
  const depth = Math.max(...scored(outcomes).map(({ levels }) => levels.length), 0)
  const head = [
    'encoder',
    'method',
    'rows',
    'seeds',
    ...measures.map(([name]) => name),
    ...Array.from({ length: depth }, (_, level) => `level ${level + 1}`),
  ]
  const rows = groupBy(outcomes, ({ cell }) => `${cell.encoder} ${cell.method}`).flatMap(([, group]) => {
    const scores = scored(group)
    const { cell, rows } = group[0]!
    if (scores.length === 0) return []
    const levels = Array.from({ length: depth }, (_, level) => spread(scores.map(({ levels }) => levels[level] ?? 0)))
    return [
      [
        cell.encoder,
        cell.method,
        String(rows),
        seedsOf(group),
        ...measures.map(([, of]) => spread(scores.map(of))),
        ...levels,
      ],
    ]
  })
  const unfit = new Set(outcomes.filter(({ reason }) => reason !== undefined).map(({ cell }) => cell.method))
  const note = unfit.size === 0 ? '' : `\n\nNot for these rows: ${[...unfit].join(', ')}.`
  return `${table(head, rows)}${note}`
}

function curvesOf(outcomes: readonly Outcome[]): string {
  const shots = [...new Set(outcomes.map(({ cell }) => cell.shots!))].sort((a, b) => a - b)
  const rows = groupBy(outcomes, ({ cell }) => `${cell.set} ${cell.method}`).flatMap(([, group]) =>
    (['macro-F1', 'C-micro', 'exact path'] as const).map((name) => {
      const of = measures.find(([measure]) => measure === name)![1]
      const cells = shots.map((k) => {
        const scores = scored(group.filter(({ cell }) => cell.shots === k))
        return scores.length === 0 ? '' : spread(scores.map(of))
      })
      return [group[0]!.cell.set, group[0]!.cell.method, name, ...cells]
    }),
  )
  return table(['set', 'method', 'measure', ...shots.map((k) => `k = ${k}`)], rows)
}

/** Writes what there is. */
export async function writeTable(
  file: string,
  outcomes: readonly Outcome[],
  { rows, testRows, epochs }: Settings,
  command: string,
): Promise<void> {
  const grid = outcomes.filter(({ cell }) => cell.shots === undefined)
  const few = outcomes.filter(({ cell }) => cell.shots !== undefined)
  const hours = outcomes.reduce((sum, { seconds }) => sum + seconds, 0) / 3600
  const sections = groupBy(grid, ({ cell }) => cell.set).map(([set, group]) => `## ${set}\n\n${gridOf(group)}`)
  await writePage(
    file,
    `# Hierarchical classification, method by method

Every method of \`train\` that needs no endpoint, with its default options, on every encoder it takes; test split, mean ± standard deviation over
seeds, each with another four fifths of the training rows. \`ngram\` is trained on all of them and judged on the whole test split. The transformers are trained
on at most ${rows} rows for at most ${epochs} epochs (early stopping on 300 other rows) and judged on at most ${testRows}: compare them with each other, not
with \`ngram\`. Decoder: the model's own (leaf-up, or thresholds with several labels a row). C- and P-metrics, hF and exact path are defined in
[evaluate](../evaluate.md); levels are per-level accuracy. The script goes on from what is cached, and rewrites this page after every cell:
${outcomes.length} cells so far, ${hours.toFixed(1)} hours on a machine with other work to do.

${sections.join('\n\n')}

${few.length === 0 ? '' : `## Few rows\n\nMiniLM fine-tuned on k texts of every path (\`fewShotPaths\`), early stopping on as many others by the\nmethod's own settings: an epoch is a few updates here, and a method that does not start from label names may stop before it has learnt much. A spread of 0\nis one seed.\n\n${curvesOf(few)}\n\n`}${provenance(command).join('\n')}`,
  )
}
