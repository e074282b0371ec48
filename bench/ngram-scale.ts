/**
 * The `ngram` model on a large synthetic set: a million rows, ten thousand labels in a tree of 100 x 100, words of a power-law vocabulary. Reports
 * time, peak memory of the process (all threads) and accuracy on rows that were not trained on. Writes docs/results/ngram-scale.md.
 *
 *     npx tsx bench/ngram-scale.ts [--rows 1000000] [--branches 100] [--leaves 100] [--threads 2] [--out docs/results/ngram-scale.md]
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { headTargets } from '../dist/labels/head-targets.js'
import { LabelTree } from '../dist/labels/label-tree.js'
import { saveNgramModel } from '../dist/models/ngram-files.js'
import { random } from '../dist/tensor/random.js'
import { trainLinear } from '../dist/train/linear.js'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    branches: { type: 'string', default: '100' },
    leaves: { type: 'string', default: '100' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: 'docs/results/ngram-scale.md' },
  },
})
const rows = Number(flags.rows)
const branches = Number(flags.branches)
const leaves = Number(flags.leaves)
const testRows = 5000
const vocabulary = 300_000

const pad = (n: number) => String(n).padStart(4, '0')
const tree = new LabelTree(
  Array.from({ length: branches }, (_, b) => [
    { key: `b${pad(b)}`, name: `b${pad(b)}`, parents: [] as string[] },
    ...Array.from({ length: leaves }, (_, l) => ({
      key: `b${pad(b)}-${pad(l)}`,
      name: pad(l),
      parents: [`b${pad(b)}`],
    })),
  ]).flat(),
)

const syllables = 'ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu'.split(' ')
/** A made-up word for a number: frequent words are short. */
function word(n: number): string {
  let text = ''
  do {
    text += syllables[n % syllables.length]
    n = Math.floor(n / syllables.length)
  } while (n > 0)
  return text
}
const r = random('ngram scale')
let draws = 0
const uniform = () => r.uniform(draws++)
/** A word of the power law: the share of rank n falls like 1 / n. */
const anyWord = () => word(Math.floor(vocabulary ** uniform()))
const topicWords = (count: number, ...key: number[]) => {
  const own = random('topic', ...key)
  return Array.from({ length: count }, (_, i) => word(Math.floor(own.uniform(i) * vocabulary)))
}
const branchWords = Array.from({ length: branches }, (_, b) => topicWords(60, b))
const leafWords = tree.leaves.map((leaf) => topicWords(12, branches + leaf))
const pick = <T>(list: readonly T[]): T => list[Math.floor(uniform() * list.length)]!

function sentence(leaf: number): string {
  const branch = Math.floor(leaf / leaves)
  return Array.from({ length: 8 + Math.floor(uniform() * 5) }, () => {
    const source = uniform()
    return source < 0.25 ? pick(leafWords[leaf]!) : source < 0.45 ? pick(branchWords[branch]!) : anyWord()
  }).join(' ')
}

const started = new Date()
const load = loadavg()[0]!
const targetsOf = Array.from({ length: rows + testRows }, () => Math.floor(uniform() * tree.leaves.length))
const texts = targetsOf.map(sentence)
const layout = {
  activation: 'softmax' as const,
  unitNodes: Int32Array.from(tree.leaves),
  groups: [{ parent: -1, start: 0, end: tree.leaves.length }],
}
const targets = headTargets(
  layout,
  tree,
  targetsOf.slice(0, rows).map((leaf) => [tree.leaves[leaf]!]),
) // prettier-ignore
const before = { time: performance.now(), cpu: process.cpuUsage(), rss: process.memoryUsage.rss() }
const test = texts.splice(rows)
let shown = performance.now()
const { model } = await trainLinear(
  { texts, layout, targets, tree, threads: Number(flags.threads) },
  {
    onProgress: ({ step, done, total }) => {
      if (performance.now() - shown < 10_000) return
      shown = performance.now()
      console.log(
        `${step} ${done}/${total}, ${Math.round((shown - before.time) / 1000)} s, ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`,
      )
    },
  },
)
const seconds = (performance.now() - before.time) / 1000
const cpu = process.cpuUsage(before.cpu)
const peak = process.resourceUsage().maxRSS * 1024
const folder = mkdtempSync(join(tmpdir(), 'espalier-scale-'))
await saveNgramModel(model, folder)
const modelBytes = statSync(join(folder, 'model.safetensors')).size
rmSync(folder, { recursive: true, force: true })

let right = 0
let rightBranch = 0
const beforeTest = performance.now()
for (const [i, text] of test.entries()) {
  const scores = model.score([text])
  let best = 0
  for (let unit = 1; unit < scores.length; unit++) if (scores[unit]! > scores[best]!) best = unit
  if (best === targetsOf[rows + i]) right++
  if (Math.floor(best / leaves) === Math.floor(targetsOf[rows + i]! / leaves)) rightBranch++
}
const perSecond = (test.length / (performance.now() - beforeTest)) * 1000

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const page = `# The ngram model on ${rows.toLocaleString('en-US')} rows and ${tree.leaves.length.toLocaleString('en-US')} labels

Written by \`npx tsx bench/ngram-scale.ts ${process.argv.slice(2).join(' ')}\` on ${started.toISOString().slice(0, 10)}, commit ${commit}.
Machine: ${cpus().length} x ${cpus()[0]!.model.trim()}, Node ${process.versions.node}. Load before the run: ${load.toFixed(1)}${load > 1 ? '; other work ran beside it, so wall time is inflated' : ''}.

A flat head over the leaves of a ${branches} x ${leaves} tree; rows of 8 to 12 words, a quarter of them from the label's 12 words, a fifth from its branch's 60, the rest
from a power-law vocabulary of ${vocabulary.toLocaleString('en-US')}. Seed 0.

| | |
|---|---|
| training, wall s | ${seconds.toFixed(0)} |
| training, processor s (${flags.threads} threads) | ${((cpu.user + cpu.system) / 1e6).toFixed(0)} |
| peak memory of the process, MiB | ${Math.round(peak / 2 ** 20).toLocaleString('en-US')} |
| of that before training (the texts and targets), MiB | ${Math.round(before.rss / 2 ** 20).toLocaleString('en-US')} |
| leaf accuracy on ${testRows.toLocaleString('en-US')} other rows | ${(right / testRows).toFixed(4)} |
| branch accuracy | ${(rightBranch / testRows).toFixed(4)} |
| model file, MB | ${(modelBytes / 1e6).toFixed(0)} |
| texts scored a second, one thread, all ${tree.leaves.length.toLocaleString('en-US')} labels | ${Math.round(perSecond).toLocaleString('en-US')} |
`
console.log(page)
await mkdir(dirname(flags.out), { recursive: true })
await writeFile(flags.out, page)
