/**
 * Long calls tell how far they are and can be stopped; bad input is a typed error that names the place and what to do.
 *
 *     npx tsx examples/progress-and-errors.ts
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EspalierError, InterruptedError, LabelTree, type Progress, readDataset, train } from 'espalier'

const file = fileURLToPath(new URL('../data/clinc150/dev.jsonl.gz', import.meta.url))
const steps = new Set<string>()
const stop = new AbortController()
const onProgress = ({ step, done }: Progress) => {
  steps.add(step)
  if (steps.size > 1 && done > 0) stop.abort()
}
try {
  await train(await readDataset(file, { onProgress }), { onProgress, signal: stop.signal })
} catch (error) {
  if (!(error instanceof InterruptedError)) throw error
  console.log(`stopped after: ${[...steps].join(', ')}`)
}

const rows = join(mkdtempSync(join(tmpdir(), 'espalier-example-')), 'rows.jsonl')
writeFileSync(rows, '{"text":"how do i say cheese in french","labels":[["travel","translat"]]}\n')
try {
  const tree = LabelTree.fromPaths([
    ['travel', 'translate'],
    ['travel', 'visa'],
  ])
  await train(await readDataset(rows), { labels: tree })
} catch (error) {
  if (!EspalierError.is(error)) throw error
  console.log(`${error.code}: ${error.message}`)
  console.log(`line ${error.where.line}; ${error.help}`)
}
