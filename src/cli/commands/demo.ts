/** `espalier demo`: the main job on real bundled data (CLINC150, Larson et al., 2019), from reading to a report, on one screen. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import type { Row } from '../../data/row.ts'
import type { Metrics } from '../../evaluate/metrics.ts'
import { formatPath, type LabelTree } from '../../labels/label-tree.ts'
import { checkOutputFolder, recordFile, writeFileAtomic } from '../../util/atomic.ts'
import { version } from '../../util/version.ts'
import { commandName, shellWord, typedCommand } from '../command-name.ts'
import { examples } from '../examples.ts'
import { folderSize } from '../folder-size.ts'
import { formatBytes, formatCount, formatProbability, formatRate, formatSeconds } from '../format.ts'
import { siblingLine } from '../metric-lines.ts'
import type { Session } from '../session.ts'
import { padEnd } from '../text-width.ts'

const out = 'demo-out'
const dataFolder = fileURLToPath(new URL('../../../data/clinc150', import.meta.url))
/** Parts of the training rows on which the learning curve is measured. */
const shares = [0.125, 0.25, 0.5]
const questions = ['check tire pressure', 'my card was stolen', 'play some jazz']

export function configure(command: Command, session: Session): void {
  command
    .usage('[--json]')
    .addHelpText(
      'after',
      `\nWrites demo-out/model and demo-out/report.html in the current folder, and\nreplaces those of an earlier demo.\n${examples(['espalier demo', 'espalier demo --json'])}`,
    )
    .action(() => runDemo(session))
}

async function runDemo(session: Session): Promise<void> {
  const { readDataset } = await import('../../data/dataset.ts')
  const { readLabelTree } = await import('../../labels/read-label-tree.ts')
  const { learningCurve } = await import('../../classify/curves.ts')
  const { train } = await import('../../classify/train.ts')
  const { evaluate } = await import('../../classify/evaluate.ts')
  const { predict } = await import('../../classify/predict.ts')
  const { renderReport } = await import('../../evaluate/report.ts')
  const { run, stdout } = session
  const { paint } = stdout
  const say = async (name: string, text: string): Promise<void> => {
    session.settle()
    if (!session.json) await session.print(`${padEnd(name, labelWidth)}${text}`)
  }
  const done = (name: string, text: string) => say(`${paint('green', '✔')} ${name}`, text)

  await checkOutputFolder(out, true)
  await mkdir(out, { recursive: true })
  await writeFileAtomic(join(out, recordFile), `${JSON.stringify({ espalier: version, verb: 'demo' }, null, 2)}\n`)
  const tree = await readLabelTree(join(dataFolder, 'labels.json'))
  const data = await readDataset(join(dataFolder, 'train.jsonl.gz'), run)
  const dev = await readDataset(join(dataFolder, 'dev.jsonl.gz'), run)
  const test = await readDataset(join(dataFolder, 'test.jsonl.gz'), run)
  const rows = await data.collect()
  const [domains, intents] = [tree.level(1).length, tree.level(2).length]
  session.settle()
  if (!session.json)
    await session.print(
      paint(
        'bold',
        `espalier demo · CLINC150: ${formatCount(rows.length)} queries, ${domains} domains › ${intents} intents`,
      ),
    )
  await done('label tree', `${tree.size} labels, ${tree.depth} levels, ${rowsPerLeaf(tree, rows)}`)

  const start = performance.now()
  const model = await train(data, {
    ...run,
    labels: tree,
    dev,
    out: join(out, 'model'),
    force: true,
    command: typedCommand(),
  })
  const seconds = (performance.now() - start) / 1000
  try {
    const devReport = await evaluate(model, dev, { ...run, command: typedCommand() })
    const bar = paint('green', '█'.repeat(12))
    const rate = formatRate(rows.length / seconds, 'rows')
    await done(
      `train ${model.scorer.kind}`,
      `${formatCount(rows.length)} rows  ${bar}  ${formatSeconds(seconds)}   ${rate}   ${named({ 'dev path': devReport.metrics.exactPath })}`,
    )
    const curves = await learningCurve(data, dev, shares, { ...run, labels: tree })
    const { exactPath, macroF1 } = devReport.metrics
    for (const [index, score] of [exactPath, macroF1].entries()) curves[index]!.points.push([rows.length, score])
    const report = await evaluate(model, test, { ...run, curves, command: typedCommand() })
    const { metrics } = report
    await done('evaluate test', `${formatCount(metrics.n)} rows   ${named(headline(metrics))}`)
    const page = join(out, 'report.html')
    await writeFileAtomic(page, renderReport(report))
    const answers = await predict(model, questions, { signal: run.signal })
    session.settle()
    if (session.json) {
      const { perLabel: _, ...scores } = metrics
      const predictions = questions.map((text, index) => ({ text, ...answers[index]! }))
      return await session.printJson({ model: join(out, 'model'), report: page, seconds, metrics: scores, predictions })
    }
    await say('worst siblings', siblingLine(metrics.confusions, stdout.columns - labelWidth))
    for (const [index, { path, confidence }] of answers.entries())
      await say(
        index === 0 ? 'try it' : '',
        `"${questions[index]}" → ${paint('bold', formatPath(path))} ${formatProbability(confidence.at(-1) ?? 0)}`,
      )
    await say('report', page)
    await say('model', `${join(out, 'model')}  ${formatBytes(await folderSize(join(out, 'model')))}`)
    const command = commandName()
    await say('next', `${command} predict ${shellWord(join(out, 'model'))} "book a flight"`)
    await say('', `${command} train YOUR_DATA.csv --out my-model`)
  } finally {
    await model.close()
  }
}

const labelWidth = 16

/** `every leaf has 100 rows`, or the least and the most. */
function rowsPerLeaf(tree: LabelTree, rows: readonly Row[]): string {
  const counts = new Map(tree.leaves.map((id) => [id, 0]))
  for (const { labels } of rows) {
    const id = tree.resolve(labels[0]!)
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const [least, most] = [Math.min(...counts.values()), Math.max(...counts.values())]
  return least === most ? `every leaf has ${least} rows` : `${least} to ${most} rows a leaf`
}

const headline = ({ exactPath, levels, hierarchical, ece }: Metrics): Record<string, number> => ({
  path: exactPath,
  domain: levels[0]!.accuracy,
  hF: hierarchical.f1,
  ...(ece === undefined ? {} : { ECE: ece }),
})

/** `path 0.93   domain 0.97`. */
const named = (scores: Record<string, number>): string =>
  Object.entries(scores)
    .map(([name, value]) => `${name} ${formatProbability(value)}`)
    .join('   ')
