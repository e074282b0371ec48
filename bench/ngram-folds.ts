/**
 * The default `ngram` model beside scikit-learn on sets of two labels, by cross-validation on their training rows: the test splits are small or drawn
 * otherwise than the training rows, and nothing may be tuned on them. Writes docs/results/ngram-folds.md. Run `npm run build` first.
 *
 *     npx tsx bench/ngram-folds.ts [--data ../shared/data] [--sets cr,sst2,...] [--folds 10] [--rows 3000] [--out docs/results/ngram-folds.md]
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'
import { datasetOf, flat, predict, train } from '../dist/index.js'
import { mean, provenance, table, writePage } from './results-page.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    sets: { type: 'string', default: 'cr,sst2,subj,tweet_irony,tweet_hate,tweet_offensive' },
    folds: { type: 'string', default: '10' },
    rows: { type: 'string', default: '3000' },
    out: { type: 'string', default: 'docs/results/ngram-folds.md' },
  },
})
const folds = Number(flags.folds)
const work = mkdtempSync(join(tmpdir(), 'espalier-folds-'))

interface Row {
  text: string
  labels: string[][]
}

const rowsOf = (set: string): Row[] =>
  gunzipSync(readFileSync(join(flags.data, set, 'train.jsonl.gz')))
    .toString('utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row)
    .filter(({ text }) => text.trim() !== '')
    .slice(0, Number(flags.rows))

async function ours(training: Row[], held: Row[]): Promise<number> {
  const model = await train(datasetOf(training), { method: flat() })
  const answers = await predict(
    model,
    held.map(({ text }) => text),
  )
  return answers.filter(({ path }, i) => path.join('\t') === held[i]!.labels[0]!.join('\t')).length / held.length
}

function theirs(training: Row[], held: Row[]): number {
  const file = (name: string, rows: Row[]) => {
    const path = join(work, name)
    writeFileSync(path, gzipSync(rows.map((row) => JSON.stringify(row)).join('\n')))
    return path
  }
  const args = [file('train.jsonl.gz', training), file('held.jsonl.gz', held), join(work, 'model.pkl')]
  const printed = execFileSync('bench/peers/venv/bin/python', ['bench/peers/linear_sklearn.py', ...args], {
    encoding: 'utf8',
  })
  return (JSON.parse(printed.trim().split('\n').at(-1)!) as { leaf: number }).leaf
}

const lines: string[][] = []
for (const set of flags.sets.split(',')) {
  const rows = rowsOf(set)
  const scores = { ours: [] as number[], theirs: [] as number[] }
  for (let fold = 0; fold < folds; fold++) {
    const training = rows.filter((_, i) => i % folds !== fold)
    const held = rows.filter((_, i) => i % folds === fold)
    scores.ours.push(100 * (await ours(training, held)))
    scores.theirs.push(100 * theirs(training, held))
  }
  const differences = scores.ours.map((score, fold) => score - scores.theirs[fold]!)
  const variance = mean(differences.map((value) => (value - mean(differences)) ** 2)) * (folds / (folds - 1))
  lines.push([
    set,
    String(rows.length),
    mean(scores.ours).toFixed(2),
    mean(scores.theirs).toFixed(2),
    `${mean(differences) >= 0 ? '+' : ''}${mean(differences).toFixed(2)}`,
    Math.sqrt(variance / folds).toFixed(2),
  ])
  console.error(lines.at(-1)!.join('  '))
}
rmSync(work, { recursive: true, force: true })

await writePage(
  flags.out,
  `# The ngram model on sets of two labels, by cross-validation

Accuracy, %, by ${folds}-fold cross-validation on the first ${flags.rows} training rows of each set (every ${folds}th row is a fold; the same folds for both).
scikit-learn: TF-IDF of 1-2 words and 2-5 characters, LinearSVC, as in [ngram.md](ngram.md). The last column is the standard error of the difference over folds.

${table(['set', 'rows', 'espalier', 'scikit-learn', 'difference', 'standard error'], lines)}

${provenance(`npx tsx bench/ngram-folds.ts --data ${flags.data} --sets ${flags.sets} --folds ${folds} --rows ${flags.rows}`).join('\n')}`,
)
