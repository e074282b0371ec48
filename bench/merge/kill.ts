/**
 * Kills a merge at random moments (SIGKILL) and continues it with --resume: every output must have the bytes of an undisturbed merge.
 *
 * npx tsx bench/merge/kill.ts [--rounds 100] [--seed 0] [--write]
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { random } from '../../src/tensor/random.ts'
import { writeSmallModel } from '../../test/merge/checkpoints.ts'

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seed: { type: 'string', default: '0' },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(flags.rounds)
const main = resolve('dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'espalier-kill-'))
const out = join(folder, 'out')

/** Runs the command line; with `killAfter` it is killed after so many milliseconds. Returns the status, or null if it was killed. */
function run(args: string[], killAfter?: number): Promise<number | null> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: 'ignore' })
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter)
    child.on('exit', (status) => {
      clearTimeout(timer)
      done(status)
    })
  })
}

const digest = () =>
  createHash('sha256')
    .update(readFileSync(join(out, 'model.safetensors')))
    .digest('hex')

const models: string[] = []
for (let seed = 0; seed < 4; seed++)
  models.push(await writeSmallModel(join(folder, `m${seed}`), { width: 192, layers: 12, vocabulary: 3000, seed }))
const recipe = join(folder, 'recipe.yml')
writeFileSync(
  recipe,
  JSON.stringify({
    merge_method: 'dare_ties',
    base_model: models[0],
    models: models.slice(1).map((model) => ({ model, parameters: { density: 0.4 } })),
  }),
)
if ((await run(['merge', recipe, out])) !== 0) throw new Error('the undisturbed merge failed')
const expected = digest()
rmSync(out, { recursive: true })
const start = performance.now()
await run(['merge', recipe, out])
const usual = performance.now() - start
const counts = { early: 0, resumed: 0, finished: 0, late: 0, same: 0 }
for (let round = 0; round < rounds; round++) {
  rmSync(out, { recursive: true, force: true })
  const killed = (await run(['merge', recipe, out], usual * random(Number(flags.seed), 'kill').uniform(round))) === null
  const work = readdirSync(folder).some((name) => name.endsWith('.partial'))
  if (!killed) counts.late++
  else if (existsSync(out)) counts.finished++
  else if (work) counts.resumed++
  else counts.early++
  if (!existsSync(out) && (await run(['merge', recipe, out, '--resume'])) !== 0)
    throw new Error(`round ${round}: --resume failed`)
  if (digest() === expected) counts.same++
  if (round % 10 === 9) console.error(round + 1, counts)
}
rmSync(folder, { recursive: true, force: true })
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const page = [
  '# Merging: kill -9 and --resume',
  '',
  `Command: \`npx tsx bench/merge/kill.ts --rounds ${rounds} --seed ${flags.seed}\`, ${new Date().toISOString().slice(0, 10)}, commit ${commit}.`,
  'A DARE-TIES merge of three models, killed after a random part of the time that it usually takes, then run again with `--resume`.',
  '',
  `- outputs with the bytes of an undisturbed merge: ${counts.same} of ${rounds}`,
  `- killed before any work was on disk: ${counts.early}; with unfinished work on disk: ${counts.resumed}; when the output already stood: ${counts.finished}; ended before the kill: ${counts.late}`,
  '',
].join('\n')
console.log(page)
if (flags.write) {
  mkdirSync('docs/results', { recursive: true })
  writeFileSync('docs/results/merge-kill.md', page)
}
