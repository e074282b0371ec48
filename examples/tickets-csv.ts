/**
 * From a CSV file to a model's folder, and from the folder to answers. Two columns form a path; it may stop early (the last rows of
 * tickets.csv have an area but no topic).
 *
 *     npx tsx examples/tickets-csv.ts [MODEL-FOLDER]
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadClassifier, predict, readDataset, train } from 'espalier'

const folder = process.argv[2] ?? join(mkdtempSync(join(tmpdir(), 'espalier-example-')), 'model')

const file = fileURLToPath(new URL('tickets.csv', import.meta.url))
const data = await readDataset(file, { text: 'body', labels: ['area', 'topic'] })
await train(data, { out: folder })

const model = await loadClassifier(folder)
for (const { level } of [{ level: 1 }, { level: 2 }])
  console.log(
    `level ${level}: ${model.tree
      .level(level)
      .map((id) => model.tree.nodes[id]!.name)
      .join(', ')}`,
  )

const texts = [
  'the invoice has no tax number',
  'where is the parcel, tracking does not move',
  'the app crashes since the update',
]
for (const [index, { path, top }] of (await predict(model, texts, { topK: 2 })).entries())
  console.log(`${texts[index]} → ${path.join(' › ')}   (else ${top[1]!.path.join(' › ')})`)
console.log(`the model is in ${folder}`)
