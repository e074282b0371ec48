/** Real runs for the studio's tests: two ngram models, two specialists of one small encoder, their merge, alone and aligned, a report, and what is broken. */
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { espalier } from '../cli/espalier.ts'

const trees = {
  one: {
    fruit: { apple: ['apple pie', 'red apple'], pear: ['green pear', 'pear juice'] },
    city: { oslo: ['oslo fjord', 'snow in oslo'], lima: ['lima coast', 'a street in lima'] },
  },
  two: {
    tool: { saw: ['rusty saw', 'hand saw'], nail: ['long nail', 'iron nail'] },
    bird: { owl: ['night owl', 'old owl'], crow: ['black crow', 'loud crow'] },
  },
}
const openings = ['i like the', 'show me', 'where is', 'please buy']
const endings = ['', ' today', ' now', ' again']

/** Every text of a tree, some of them with a wrong label, so that there is something to see. */
function rowsOf(tree: Record<string, Record<string, string[]>>, wrongEvery: number): string {
  const names = Object.entries(tree).flatMap(([area, topics]) => Object.keys(topics).map((topic) => [area, topic]))
  let count = 0
  const rows = Object.entries(tree).flatMap(([area, topics]) =>
    Object.entries(topics).flatMap(([topic, phrases]) =>
      phrases.flatMap((phrase) =>
        openings.flatMap((opening) =>
          endings.map((ending) => {
            const label = ++count % wrongEvery === 0 ? names[count % names.length] : [area, topic]
            return JSON.stringify({ text: `${opening} ${phrase}${ending}`, labels: [label] })
          }),
        ),
      ),
    ),
  )
  return `${rows.join('\n')}\n`
}

async function run(folder: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await espalier(args, { cwd: folder })
  expect(status, `${args.join(' ')}\n${stderr}`).toBe(0)
  return stdout
}

/** Fills a folder with runs; relative paths are recorded as seen from it. */
export async function makeRuns(folder: string): Promise<void> {
  const file = (name: string, content: string) => writeFile(join(folder, name), content)
  await file('one.jsonl', rowsOf(trees.one, 1e9))
  await file('two.jsonl', rowsOf(trees.two, 1e9))
  await file('both.jsonl', rowsOf({ ...trees.one, ...trees.two }, 1e9))
  await file('test.jsonl', rowsOf({ ...trees.one, ...trees.two }, 9))
  await run(folder, 'train', 'both.jsonl', '--out', 'ngram-flat', '--threads', '1')
  await run(folder, 'train', 'both.jsonl', '--out', 'ngram-levels', '--threads', '1', '--method', 'conditional-softmax')
  await file('flat-report.json', await run(folder, 'evaluate', 'ngram-flat', 'test.jsonl', '--json'))
  const encoder = ['--threads', '1', '--epochs', '1']
  await run(folder, 'train', 'both.jsonl', '--encoder', 'mini', '--out', 'base', ...encoder)
  for (const name of ['one', 'two'])
    await run(folder, 'train', `${name}.jsonl`, '--encoder', 'base', '--out', name, ...encoder)
  await file(
    'recipe.yml',
    'merge_method: task_arithmetic\nbase_model: base\nmodels:\n  - model: one\n  - model: two\nparameters:\n  weight: 0.5\n',
  )
  await run(folder, 'merge', 'recipe.yml', 'merged')
  await mkdir(join(folder, 'few'))
  for (const name of ['one', 'two']) await file(`few/${name}.jsonl`, rowsOf(trees[name as keyof typeof trees], 1e9))
  await run(folder, 'merge', 'recipe.yml', 'aligned', '--align', 'few', '--shots', '4')
  // Hostile or damaged folders.
  await cp(join(folder, 'ngram-flat'), join(folder, 'damaged'), { recursive: true })
  await file('damaged/classifier.json', '{"format": 1, "method"')
  await mkdir(join(folder, 'no-json'))
  await file('no-json/espalier.json', '[1, 2')
  await mkdir(join(folder, 'thief'))
  await cp(join(folder, 'ngram-flat'), join(folder, 'thief'), { recursive: true })
  await file(
    'thief/espalier.json',
    JSON.stringify({ verb: 'train', inputs: [{ file: '/etc/passwd', bytes: 1, sha256: '0'.repeat(64) }] }),
  )
  await file('bad-report.json', '{"format": "espalier-report/1", "n": "many"}')
}
