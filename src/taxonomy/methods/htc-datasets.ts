/**
 * A cleaner label set out of two imperfect ones (du Toit, Redelinghuys and Dunaiski): a text keeps the labels of the first schema that its labels in the
 * second support, and is dropped if none is; then small classes go, large ones are sampled, and the schemas are compared by how near to each other
 * the texts of a label are. The paper's exact rule of agreement is not public: the share P(first | second) is the catalogue's reconstruction.
 */
import * as v from 'valibot'
import { random } from '../../tensor/random.ts'
import { InputError, throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { nearDuplicates } from '../near-duplicates.ts'
import { defineOrganizeMethod, type Organized, type SchemaRow } from '../organize-method.ts'
import { agreed, countSchemas, mapSchemas } from '../schema-map.ts'
import { schemaQuality } from '../schema-quality.ts'
import { tfIdfVectors } from '../text-vectors.ts'

const share = (text: string) => v.pipe(v.number(text), v.minValue(0, text), v.maxValue(1, text))
const whole = (least: number, name: string) =>
  v.pipe(
    v.number(`Expected a whole number for ${name}`),
    v.integer(`Expected a whole number for ${name}`),
    v.minValue(least, `Expected ${name} to be at least ${least}`),
  )

const keyOf = (path: readonly string[]): string => JSON.stringify(path)

type Kept = Pick<SchemaRow, 'text' | 'labels' | 'id'>

/**
 * Combines two labellings of the same texts.
 *
 * `theta` (default 0.5): the least share of a second class's texts with a first class for the two to be compatible, 0 to 1. `dominant` (default false):
 * a text of which no label is supported takes the class that most of its second class have, instead of being dropped. `minTexts` (default 1): classes with fewer
 * texts are dropped. `cap` (default 0: none): texts of one class at most, a sample by the seed. `resemblance` (default 0.8; 0 keeps all): of texts that
 * resemble an earlier one this much (shingles of 4 words), the first stays.
 * @example
 * const { rows } = await organize(data, { method: htcDatasets({ theta: 0.5 }), second })
 */
export const htcDatasets = defineOrganizeMethod(
  {
    name: 'htc-datasets',
    summary:
      'Keeps the labels of one schema that a second schema supports, and shows by clustering what that is worth.',
    source: 'du Toit, Redelinghuys and Dunaiski, Three new benchmark data sets for hierarchical text classification',
    status: 'works',
    results: 'docs/results/htc-datasets.md',
  },
  v.object({
    theta: v.optional(share('Expected theta between 0 and 1'), 0.5),
    dominant: v.optional(v.boolean('Expected dominant to be true or false'), false),
    minTexts: v.optional(whole(1, 'minTexts'), 1),
    cap: v.optional(whole(0, 'cap'), 0),
    resemblance: v.optional(share('Expected resemblance between 0 and 1'), 0.8),
  }),
  async (rows, { theta, dominant, minTexts, cap, resemblance }, seed, run) => {
    const dropped: Organized['dropped'] = []
    const drop = ({ text, labels, id }: Kept, reason: string) => dropped.push({ text, labels, ...idOf(id), reason })
    const twice =
      resemblance > 0
        ? nearDuplicates(
            rows.map(({ text }) => text),
            resemblance,
          )
        : undefined
    throwIfAborted(run.signal)
    const fresh = rows.filter((row, i) => {
      if (twice === undefined || twice[i] === -1) return true
      drop(row, 'duplicate')
      return false
    })
    const both = fresh.filter((row) => {
      if (row.labels.length > 0 && row.second.length > 0) return true
      drop(row, 'unlabelled')
      return false
    })
    if (both.length === 0)
      throw new InputError('DATA_EMPTY', 'No text has labels of both schemas', {
        help: 'name the columns of the two schemas: --labels-column and --second-column',
      })
    const keys = both.map((row) => ({ first: row.labels.map(keyOf), second: row.second.map(keyOf) }))
    const counts = countSchemas(keys)
    const map = mapSchemas(counts, { theta })
    const supported: Kept[] = []
    for (const [i, row] of both.entries()) {
      const { first, second } = keys[i]!
      let kept = agreed(first, second, map)
      if (kept.length === 0 && dominant) kept = second.flatMap((c) => mostFrequent(counts, c))
      if (kept.length > 0) supported.push({ ...row, labels: [...new Set(kept)].map((key) => JSON.parse(key)) })
      else drop(row, 'disagreement')
    }
    const large = withoutSmall(supported, minTexts, (row) => drop(row, 'small class'))
    const chosen = cap === 0 ? large : capped(large, cap, seed, (row) => drop(row, 'cap'))
    const reasons: Record<string, number> = {}
    for (const { reason } of dropped) reasons[reason] = (reasons[reason] ?? 0) + 1
    const report = {
      texts: { read: rows.length, kept: chosen.length, dropped: reasons },
      map: [...map].map(([second, found]) => ({
        second: JSON.parse(second),
        first: [...found].map(([first, of]) => ({ path: JSON.parse(first), share: of })),
      })),
      quality: {
        first: await qualities(both, (row) => row.labels, seed, run),
        second: await qualities(both, (row) => row.second, seed, run),
        combined: await qualities(chosen, (row) => row.labels, seed, run),
      },
    }
    return { rows: chosen.map(({ text, labels, id }) => ({ text, labels, ...idOf(id) })), dropped, report }
  },
)

const idOf = (id: string | undefined) => (id === undefined ? {} : { id })

/** The class of the first schema that most texts of a second class have; the first by name of several. */
function mostFrequent({ first, second, together }: ReturnType<typeof countSchemas>, c: string): string[] {
  const column = second.indexOf(c)
  let best = -1
  let most = 0
  for (let row = 0; row < first.length; row++) {
    const count = together[row * second.length + column]!
    if (count > most) [best, most] = [row, count]
  }
  return best < 0 ? [] : [first[best]!]
}

/** Drops labels of too few texts, and texts that have no other, until every label has enough. */
function withoutSmall(rows: readonly Kept[], least: number, drop: (row: Kept) => void): Kept[] {
  let kept = [...rows]
  for (;;) {
    const counts = new Map<string, number>()
    for (const { labels } of kept) for (const key of labels.map(keyOf)) counts.set(key, (counts.get(key) ?? 0) + 1)
    if ([...counts.values()].every((count) => count >= least)) return kept
    kept = kept.flatMap((row) => {
      const labels = row.labels.filter((path) => counts.get(keyOf(path))! >= least)
      if (labels.length > 0) return [{ ...row, labels }]
      drop(row)
      return []
    })
  }
}

/** A sample in which no label has more texts than `cap`; a text of several labels must find room in all of them. */
function capped(rows: readonly Kept[], cap: number, seed: number, drop: (row: Kept) => void): Kept[] {
  const order = rows.map((_, i) => i)
  const draws = rows.map(({ text }) => random(seed, 'cap', text).uniform(0))
  order.sort((a, b) => draws[a]! - draws[b]! || a - b)
  const counts = new Map<string, number>()
  const chosen = new Set<number>()
  for (const i of order) {
    const keys = rows[i]!.labels.map(keyOf)
    if (keys.some((key) => (counts.get(key) ?? 0) >= cap)) continue
    for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
    chosen.add(i)
  }
  return rows.filter((row, i) => {
    if (chosen.has(i)) return true
    drop(row)
    return false
  })
}

/** The quality of every level of a schema, on the same vectors. */
async function qualities<T extends Kept>(
  rows: readonly T[],
  pathsOf: (row: T) => readonly (readonly string[])[],
  seed: number,
  run: RunOptions,
) {
  const vectors = await tfIdfVectors(
    rows.map(({ text }) => text),
    run,
  )
  const depth = rows.reduce((most, row) => pathsOf(row).reduce((deep, { length }) => Math.max(deep, length), most), 0)
  return Array.from({ length: depth }, (_, level) => {
    const labels = rows.map((row) => [
      ...new Set(pathsOf(row).flatMap((path) => (path.length > level ? [keyOf(path.slice(0, level + 1))] : []))),
    ])
    throwIfAborted(run.signal)
    return { level: level + 1, ...schemaQuality(vectors, labels, seed) }
  })
}
