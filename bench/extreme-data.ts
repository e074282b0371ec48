/**
 * Generated rows for extreme classification: as many labels as asked for, frequencies of a power law, one to four labels a row, labels of a branch share
 * words. Every label has at least one training row. The same numbers give the same bytes.
 *
 *     npx tsx bench/extreme-data.ts --labels 100000 --rows 200000 --out bench/.cache/extreme/100k [--test 5000] [--seed 0]
 */
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { createGzip } from 'node:zlib'
import { random } from '../dist/tensor/random.js'

export interface ExtremeData {
  labels: number
  rows: number
  test: number
  seed: number
}

const vocabulary = 200_000
const labelsPerBranch = 50
const syllables = 'ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu'.split(' ')

/** A made-up word for a number: words of small numbers are short. */
function word(n: number): string {
  let text = ''
  for (let rest = n + 1; rest > 0; rest = Math.floor(rest / syllables.length))
    text += syllables[rest % syllables.length]
  return text
}

/** Writes train.jsonl.gz and test.jsonl.gz. */
export async function generateExtreme({ labels, rows, test, seed }: ExtremeData, out: string): Promise<void> {
  const branches = Math.max(1, Math.round(labels / labelsPerBranch))
  const r = random('extreme', seed)
  let draws = 0
  const uniform = () => r.uniform(draws++)
  /** A number below n; the share of number k falls like 1 / (k + 1). */
  const powerLaw = (n: number) => Math.min(n - 1, Math.floor(n ** uniform()) - 1 + Math.floor(uniform() * 2))
  const topic = (count: number, kind: string, n: number) => {
    const own = random('extreme', seed, kind, n)
    return Array.from({ length: count }, (_, i) => Math.floor(own.uniform(i) * vocabulary))
  }
  const topics = new Map<number, number[]>()
  const wordsOf = (label: number): number[] => {
    const known = topics.get(label)
    if (known) return known
    const words = topic(6, 'label', label)
    if (topics.size < 200_000) topics.set(label, words)
    return words
  }
  const branchTopics = Array.from({ length: branches }, (_, b) => topic(25, 'branch', b))
  const pick = (list: readonly number[]) => list[Math.floor(uniform() * list.length)]!
  const row = (first: number): string => {
    const branch = first % branches
    const own = [first]
    while (own.length < 4 && uniform() < 0.45) {
      const other = branch + branches * powerLaw(Math.max(1, Math.floor(labels / branches)))
      if (other < labels && !own.includes(other)) own.push(other)
    }
    const length = 8 + Math.floor(uniform() * 9)
    const words = Array.from({ length }, () => {
      const source = uniform()
      if (source < 0.4) return word(pick(wordsOf(pick(own))))
      return word(source < 0.6 ? pick(branchTopics[branch]!) : powerLaw(vocabulary))
    })
    return `${JSON.stringify({ text: words.join(' '), labels: own.map((label) => [`L${label}`]) })}\n`
  }
  await mkdir(out, { recursive: true })
  const write = async (file: string, lines: Iterable<string>) => {
    const zip = createGzip({ level: 1 })
    const end = finished(zip.pipe(createWriteStream(join(out, file))))
    for (const line of lines) if (!zip.write(line)) await new Promise((resolve) => zip.once('drain', resolve))
    zip.end()
    await end
  }
  function* training() {
    for (let i = 0; i < rows; i++) yield row(i < labels ? i : powerLaw(labels))
  }
  function* testing() {
    for (let i = 0; i < test; i++) yield row(uniform() < 0.5 ? Math.floor(uniform() * labels) : powerLaw(labels))
  }
  await write('train.jsonl.gz', training())
  await write('test.jsonl.gz', testing())
}

if (process.argv[1]?.endsWith('extreme-data.ts')) {
  const { values } = parseArgs({
    options: {
      labels: { type: 'string', default: '100000' },
      rows: { type: 'string', default: '200000' },
      test: { type: 'string', default: '5000' },
      seed: { type: 'string', default: '0' },
      out: { type: 'string' },
    },
  })
  const numbers = {
    labels: Number(values.labels),
    rows: Number(values.rows),
    test: Number(values.test),
    seed: Number(values.seed),
  }
  await generateExtreme(numbers, values.out!)
}
