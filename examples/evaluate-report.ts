/**
 * Train on real data, measure on rows that were held back, and write the page that shows where the model is wrong. Uses the dev split of the bundled
 * CLINC150 (3,000 queries, 150 intents in 10 domains), so that it is done in seconds.
 *
 *     npx tsx examples/evaluate-report.ts [REPORT.html]
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { datasetOf, evaluate, readDataset, renderReport, splitRows, train } from 'espalier'

const page = process.argv[2] ?? join(mkdtempSync(join(tmpdir(), 'espalier-example-')), 'report.html')

const file = fileURLToPath(new URL('../data/clinc150/dev.jsonl.gz', import.meta.url))
const rows = await (await readDataset(file)).collect()
const parts = splitRows(rows, { test: 0.2, dev: 0.1, seed: 1 })
const [forTraining, forDev, forTest] = [parts.train, parts.dev, parts.test].map((part) => datasetOf(part))

const model = await train(forTraining!, { dev: forDev!, seed: 1 })
const report = await evaluate(model, forTest!)
const { n, exactPath, levels, hierarchical, ece } = report.metrics
console.log(
  `${n} rows: whole path right ${exactPath.toFixed(3)}, hierarchical F1 ${hierarchical.f1.toFixed(3)}, ECE ${ece?.toFixed(3)}`,
)
for (const { level, accuracy } of levels) console.log(`level ${level}: accuracy ${accuracy.toFixed(3)}`)
writeFileSync(page, renderReport(report))
console.log(`the report is in ${page}`)
