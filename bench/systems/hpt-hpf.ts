/**
 * Done check of `hpt-hpf` (`evaluate --hp-score`): with a scripted chat endpoint that solves each row from a planted level on, HP-Score must be the planted
 * mean and the calls those of the plan; with a ladder of local classifiers, a coarse task must be easier than a fine one. Run `npm run build` first.
 *
 *     npx tsx bench/systems/hpt-hpf.ts [--data ../shared/data] [--seeds 0,1,2] [--rows 200] [--out docs/results/hpt-hpf.md]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  datasetOf,
  hpScore,
  htcLlm,
  type Ladder,
  predict,
  type Row,
  rateDataset,
  readDataset,
  train,
} from '../../dist/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { scriptedChat } from '../../test/support/scripted-chat.ts'
import { provenance, spread, table, writePage } from '../results-page.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    seeds: { type: 'string', default: '0,1,2' },
    rows: { type: 'string', default: '200' },
    out: { type: 'string', default: 'docs/results/hpt-hpf.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const most = Number(flags.rows)
const penalty = 1.71
/** Calls of the five levels on a tree of two levels: three of least-to-most, three statements and the answer of generated knowledge. */
const callsOfLevel = [1, 1, 1, 3, 4]

const read = async (set: string, split: string): Promise<Row[]> =>
  (await readDataset(join(flags.data, set, `${split}.jsonl.gz`))).collect()
const pick = (rows: readonly Row[], count: number, seed: number, name: string): Row[] =>
  Array.from(permutation(rows.length, random(seed, 'hpt', name)).slice(0, count), (i) => rows[i]!)

/** Level 1 to 5, or 6 for never, of each text. */
const plantedLevel = (text: string): number => 1 + Math.floor(6 * random(7, text).uniform(0))

async function planted(seed: number): Promise<string[]> {
  const rows = pick(await read('trec', 'test'), most, seed, 'planted')
  const gold = new Map(rows.map(({ text, labels }) => [text.replace(/\s+/g, ' ').trim(), labels[0]!]))
  const levelOf = (system: string, user: string): number =>
    system.startsWith('You are an expert')
      ? 1
      : system.includes('as in the examples')
        ? 3
        : system.includes('found out')
          ? 4
          : user.includes('Knowledge: ')
            ? 5
            : system.startsWith('Choose the label that fits the text. Think')
              ? 2
              : 0
  const chat = await scriptedChat(({ text, offered, body }) => {
    const [system, user] = (body as { messages: { content: string }[] }).messages.map(({ content }) => content)
    const path = gold.get(text)
    const level = levelOf(system!, user!)
    if (!path || level === 0 || level < plantedLevel(text)) return 'I do not know'
    return `Label: ${offered.find((label) => label === path.at(-1) || label === path.join(' > '))}`
  })
  const training = await read('trec', 'train')
  const model = await train(datasetOf(training), {
    method: htcLlm({ endpoint: chat.url, model: 'scripted', shots: 1 }),
  })
  const { score, items } = await rateDataset(model, datasetOf(rows), { penalty, rows: rows.length })
  await chat.close()
  const levels = rows.map(({ text }) => plantedLevel(text.replace(/\s+/g, ' ').trim()))
  const expected = levels.reduce((sum, level) => sum + (level > 5 ? 5 + penalty : level), 0) / rows.length
  const calls = levels.reduce(
    (sum, level) => sum + callsOfLevel.slice(0, Math.min(5, level)).reduce((a, b) => a + b, 0),
    0,
  )
  const exact = Math.abs(score - expected) < 1e-9 && items.length === rows.length && chat.calls.length === calls
  return [
    String(seed),
    String(rows.length),
    score.toFixed(4),
    expected.toFixed(4),
    String(chat.calls.length),
    String(calls),
    exact ? 'yes' : '**no**',
  ]
}

const words = (text: string): Set<string> => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])

/** Name match, then the `ngram` model on 5, 20 and 80 rows a label, then on all rows. */
async function localLadder(training: Row[], seed: number): Promise<Ladder<Row>> {
  const key = (row: Row) => row.labels[0]!.join('\t')
  const names = [...new Set(training.map(key))].map((label) => ({ label, words: words(label.replace(/[\t_]/g, ' ')) }))
  const shuffled = pick(training, training.length, seed, 'shots')
  const ladder: Ladder<Row>[number][] = [
    async (row) => {
      const asked = words(row.text)
      const score = (name: Set<string>) => [...name].filter((word) => asked.has(word)).length
      const best = names.reduce((a, b) => (score(b.words) > score(a.words) ? b : a))
      return { answer: best.label, solved: best.label === key(row) }
    },
  ]
  for (const shots of [5, 20, 80, Number.POSITIVE_INFINITY]) {
    const seen = new Map<string, number>()
    const rows = shuffled.filter((row) => {
      const count = (seen.get(key(row)) ?? 0) + 1
      seen.set(key(row), count)
      return count <= shots
    })
    const model = await train(datasetOf(rows), { seed })
    ladder.push(async (row) => {
      const [answer] = await predict(model, [row.text])
      const label = answer!.path.join('\t')
      return { answer: label, solved: label === key(row) }
    })
  }
  return ladder
}

async function local(set: string, depth: number): Promise<number[]> {
  const cut = (rows: Row[]) => rows.map((row) => ({ ...row, labels: [row.labels[0]!.slice(0, depth)] }))
  const training = cut(await read(set, 'train'))
  const test = cut(await read(set, 'test'))
  const scores: number[] = []
  for (const seed of seeds) {
    const items = pick(test, most, seed, 'items')
    scores.push((await hpScore(items, await localLadder(training, seed), { penalty })).score)
  }
  return scores
}

const checks: string[][] = []
for (const seed of seeds) checks.push(await planted(seed))
const tasks: [string, number[]][] = [
  ['trec, 6 labels', await local('trec', 1)],
  ['trec, 50 labels', await local('trec', 2)],
  ['clinc150, 150 labels', await local('clinc150', 2)],
]
const [coarse, fine] = tasks.map(([, scores]) => scores.reduce((sum, score) => sum + score, 0) / scores.length)

await writePage(
  flags.out,
  `# hpt-hpf: how elaborate a prompt must be

\`espalier evaluate MODEL DATA --hp-score manual\`. A scripted endpoint solves each question of TREC from a planted level on (1 to 5, or never; uniform), penalty ${penalty}:

${table(['seed', 'rows', 'HP-Score', 'planted mean', 'calls', 'calls of the plan', 'exact'], checks)}

With local classifiers as the ladder (label names in the text; the \`ngram\` model on 5, 20, 80 rows a label, and on all rows; the catalogue has naive Bayes and
nearest neighbours there), ${most} test rows, mean and standard deviation over ${seeds.length} draws:

${table(
  ['task', 'HP-Score'],
  tasks.map(([name, scores]) => [name, spread(scores)]),
)}

- ${coarse! < fine! ? 'holds' : '**does not hold**'}: the coarse task of TREC is easier than the fine one (${coarse!.toFixed(3)} against ${fine!.toFixed(3)})

${provenance(`npx tsx bench/systems/hpt-hpf.ts --data ${flags.data} --seeds ${flags.seeds} --rows ${most}`).join('\n')}`,
)
