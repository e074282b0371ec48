/**
 * How long short commands take, process start included, beside an empty Node process: alternating runs, medians. Writes docs/results/startup.md.
 * Run `npm run build` first.
 *
 *     npx tsx bench/startup.ts [--runs 30] [--out docs/results/startup.md]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { getPriority, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median, provenance, table, writePage } from './results-page.ts'

const { values: flags } = parseArgs({
  options: { runs: { type: 'string', default: '30' }, out: { type: 'string', default: 'docs/results/startup.md' } },
})
const runs = Number(flags.runs)
const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'espalier-startup-'))
const model = join(folder, 'model')

function run(args: string[]): number {
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { input: '' })
  if (status !== 0) throw new Error(stderr.toString())
  return performance.now() - start
}

const commands: [name: string, args: string[], goal?: number][] = [
  ['an empty Node process', ['-e', '0']],
  ["`import 'espalier'`", ['--input-type=module', '-e', `await import('${join(root, 'dist/index.js')}')`]],
  ['`espalier --help`', [main, '--help'], 150],
  ['`espalier help train`', [main, 'help', 'train'], 150],
  ['`espalier predict MODEL TEXT`', [main, 'predict', model, 'how much is the tire pressure'], 300],
]

const load = loadavg()[0]!
const priority = getPriority()
run([main, 'train', join(root, 'data/clinc150/train.jsonl.gz'), '--out', model])
const times = commands.map((): number[] => [])
for (let round = 0; round < runs; round++)
  for (const [index, [, args]] of commands.entries()) times[index]!.push(run(args))
rmSync(folder, { recursive: true, force: true })

const base = median(times[0]!)
const rows = commands.map(([name, , goal], index) => {
  const own = times[index]!
  const middle = median(own)
  return [
    name,
    `${middle.toFixed(0)} ms`,
    `${Math.min(...own).toFixed(0)} to ${Math.max(...own).toFixed(0)} ms`,
    `${(middle / base).toFixed(2)}`,
    goal === undefined ? '' : `under ${goal} ms`,
  ]
})

await writePage(
  flags.out,
  `# Start of short commands

Wall time of whole processes, medians of ${runs} alternating rounds. \`predict\` answers one text with an \`ngram\` model of CLINC150 (150 intents, 15,000 training rows).

${table(['process', 'median', 'least to most', 'over empty Node', 'goal'], rows)}

${provenance(`${priority === 0 ? '' : `nice -n ${priority} `}npx tsx bench/startup.ts --runs ${runs}`).join('\n')}
- load of the machine before the runs: ${load.toFixed(1)}${load > 1 ? '; other work ran beside them, which lengthens every time, that of empty Node too' : ''}
`,
)
