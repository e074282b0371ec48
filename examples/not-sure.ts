/**
 * Texts that belong nowhere. With `minConfidence` the model stops at the first label that it is not sure of: at the domain, or before it. Measured on
 * CLINC150, whose out-of-scope queries belong to none of the 150 intents.
 *
 *     npx tsx examples/not-sure.ts
 */
import { fileURLToPath } from 'node:url'
import { datasetOf, predict, readDataset, splitRows, train } from 'espalier'

const clinc = (name: string) =>
  readDataset(fileURLToPath(new URL(`../data/clinc150/${name}.jsonl.gz`, import.meta.url)))

// The 3,000 rows of the dev split are enough for an example; a fifth of them calibrates the probabilities.
const rows = splitRows(await (await clinc('dev')).collect(), { dev: 0.2, seed: 1 })
const model = await train(datasetOf(rows.train), { dev: datasetOf(rows.dev) })
const known = (await (await clinc('test')).collect()).slice(0, 1000)
const foreign = await (await clinc('oos_test')).collect()

for (const minConfidence of [0, 0.3, 0.6]) {
  const answers = await predict(
    model,
    known.map(({ text }) => text),
    { minConfidence },
  )
  const refusals = await predict(
    model,
    foreign.map(({ text }) => text),
    { minConfidence },
  )
  const answered = answers.filter(({ path }) => path.length === 2)
  const right = answers.filter(({ path }, row) => path.join() === known[row]!.labels[0]!.join()).length
  const refused = refusals.filter(({ path }) => path.length < 2).length
  const share = (count: number, of: number) => `${((100 * count) / of).toFixed(0)} %`
  console.log(
    `from ${minConfidence}: answers ${share(answered.length, known.length)} of the queries in scope, ${share(right, answered.length)} of these rightly;` +
      ` gives no intent to ${share(refused, foreign.length)} of those out of scope`,
  )
}
