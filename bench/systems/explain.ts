/**
 * How faithful explanations are: comprehensiveness, sufficiency and deletion AUC of every method, beside random attributions of the same texts, on an
 * `ngram` model and a small encoder trained from scratch, over seeds (of training, drawing and sampling). Writes docs/results/explain.md.
 *
 *     npx tsx bench/systems/explain.ts [--data ../shared/data] [--sets trec,clinc150] [--models ngram,mini] [--seeds 0,1,2] [--rows 100]
 *       [--encoder-rows 40] [--epochs 8]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  attentionRollout,
  type Classifier,
  type ExplainMethod,
  evaluate,
  type FaithfulnessScores,
  faithfulness,
  integratedGradients,
  kernelShap,
  lime,
  linearExplanation,
  occlusion,
  readDataset,
  readLabelTree,
  train,
} from '../../dist/index.js'
import { provenance, spread, table, writePage } from '../results-page.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    sets: { type: 'string', default: 'trec,clinc150' },
    models: { type: 'string', default: 'ngram,mini' },
    seeds: { type: 'string', default: '0,1,2' },
    rows: { type: 'string', default: '100' },
    'encoder-rows': { type: 'string', default: '40' },
    epochs: { type: 'string', default: '8' },
    threads: { type: 'string', default: '1' },
    out: { type: 'string', default: 'docs/results/explain.md' },
  },
})
const threads = Number(flags.threads)
const seeds = flags.seeds.split(',').map(Number)

const anyModel = () => [occlusion(), lime(), kernelShap({ samples: 512 })]
const methods: Record<string, () => ExplainMethod[]> = {
  ngram: () => [linearExplanation(), ...anyModel()],
  mini: () => [integratedGradients(), attentionRollout(), ...anyModel()],
}
const measures: [keyof FaithfulnessScores, 1 | -1][] = [
  ['comprehensiveness', 1],
  ['sufficiency', -1],
  ['deletionAuc', -1],
]

interface Outcome {
  method: FaithfulnessScores
  random: FaithfulnessScores
}

const rows: string[][] = []
const accuracies: string[] = []
const verdicts = new Map<string, { won: number; of: number }>()
for (const set of flags.sets.split(',')) {
  const folder = join(flags.data, set)
  const labels = await readLabelTree(join(folder, 'labels.json'))
  const data = await readDataset(join(folder, 'train.jsonl.gz'))
  const test = await readDataset(join(folder, 'test.jsonl.gz'))
  const texts = (await test.collect()).map(({ text }) => text)
  for (const encoder of flags.models.split(',')) {
    const outcomes = new Map<string, { probability: Outcome[]; logOdds: Outcome[] }>()
    const accuracy: number[] = []
    for (const seed of seeds) {
      const model: Classifier = await train(data, {
        labels,
        seed,
        encoder,
        threads,
        ...(encoder === 'ngram' ? {} : { epochs: Number(flags.epochs) }),
      })
      accuracy.push((await evaluate(model, test)).metrics.exactPath)
      console.log(`${set} ${encoder} seed ${seed}: exact path ${accuracy.at(-1)!.toFixed(3)}`)
      const sample = Number(encoder === 'ngram' ? flags.rows : flags['encoder-rows'])
      for (const method of methods[encoder]!()) {
        const start = performance.now()
        const { removals } = await faithfulness(model, texts, { method, sample, seed })
        for (const { removal, probability, logOdds } of removals) {
          const key = `${method.name} | ${removal}`
          const known = outcomes.get(key) ?? { probability: [], logOdds: [] }
          known.probability.push(probability)
          known.logOdds.push(logOdds)
          outcomes.set(key, known)
        }
        console.log(`  ${method.name} ${((performance.now() - start) / 1000).toFixed(1)} s`)
      }
      await model.close()
    }
    accuracies.push(`${set} ${encoder} ${spread(accuracy)}`)
    for (const [key, { probability, logOdds }] of outcomes) {
      const [name, removal] = key.split(' | ') as [string, string]
      const cells = (list: Outcome[]) =>
        measures.map(([measure, sign]) => {
          const wins = list.filter((one) => sign * (one.method[measure] - one.random[measure]) > 0).length
          const verdict = verdicts.get(name) ?? { won: 0, of: 0 }
          verdicts.set(name, { won: verdict.won + wins, of: verdict.of + list.length })
          const lost = wins < list.length ? ` (${wins} of ${list.length})` : ''
          return `${spread(list.map((one) => one.method[measure]))} / ${spread(list.map((one) => one.random[measure]))}${lost}`
        })
      rows.push([set, encoder, name, removal, ...cells(probability), ...cells(logOdds)])
    }
  }
}

const summary = [...verdicts].map(
  ([name, { won, of }]) =>
    `- ${name}: better than random in ${won} of ${of} comparisons (set, model, removal, measure, seed)`,
)
const models = flags.models
  .split(',')
  .map((name) =>
    name === 'ngram'
      ? `\`ngram\`: ${flags.rows} texts`
      : `\`${name}\` (an encoder of 4 layers x 128 from scratch, ${flags.epochs} epochs): ${flags['encoder-rows']} texts`,
  )
await writePage(
  flags.out,
  `# Explanations: faithfulness on ${flags.sets.replaceAll(',', ', ')}

Each cell: the method / random attributions of the same texts, mean ± standard deviation over seeds ${flags.seeds}; a cell in which the method does not
win in every seed says in how many it does. Comprehensiveness: high is good; sufficiency and deletion AUC: low is good (definitions in
docs/explain.md). First the probability of the predicted label, then its log-odds. ${models.join('; ')}; test texts are drawn by the seed,
rightly classified or not. \`kernel-shap\` with 512 samples, the others with their defaults.${flags.models.includes('mini') ? ' Attention rollout knows no label and no sign.' : ''}

${summary.join('\n')}

${table(
  [
    'set',
    'model',
    'method',
    'tokens',
    ...['probability', 'log-odds'].flatMap((f) => ['compr.', 'suff.', 'del. AUC'].map((measure) => `${measure}, ${f}`)),
  ],
  rows,
)}

- exact path on the test split: ${accuracies.join('; ')}
${provenance(`npx tsx bench/systems/explain.ts --sets ${flags.sets} --models ${flags.models} --seeds ${flags.seeds} --rows ${flags.rows}${flags.models.includes('mini') ? ` --encoder-rows ${flags['encoder-rows']} --epochs ${flags.epochs}` : ''}${flags.out.endsWith('/explain.md') ? '' : ` --out ${flags.out}`}`).join('\n')}`,
)
