/**
 * The path-based few-shot sampler (Ji et al., HierVerb, 2023): K training texts, and K development texts, for every label path, so that every path of a
 * tree is learnt from equally little.
 */
import { keyWords } from '../tensor/random.ts'
import { InputError } from '../util/errors.ts'

export interface FewShotOptions {
  /** Texts of each path, from 1. */
  k: number
  /** Development texts of each path. Default: as many as `k`; 0: none. */
  dev?: number
  /** Default 0. */
  seed?: number
}

export interface FewShotRows<T> {
  /** In the order of the rows given. */
  train: T[]
  dev: T[]
  /** Paths with fewer training texts than asked for: they have no more rows. */
  short: { path: string[]; rows: number }[]
}

interface Labelled {
  text: string
  labels: readonly (readonly string[])[]
}

/**
 * Draws `k` rows of every path, then `dev` others. A row of several paths counts for each of them, and is only drawn for a path that still wants rows, the
 * paths with the fewest rows first; frequent paths can so get a few more than asked for. Which rows are drawn depends on the seed and the texts, not on
 * their order; a text that occurs twice is drawn once. Rows without labels are never drawn.
 * @throws InputError `OPTION_RANGE`; `DATA_EMPTY` if no row has a label.
 * @example
 * const { train, dev } = fewShotPaths(await data.collect(), { k: 5, seed: 1 })
 */
export function fewShotPaths<T extends Labelled>(
  rows: readonly T[],
  { k, dev = k, seed = 0 }: FewShotOptions,
): FewShotRows<T> {
  for (const [name, value, least] of [
    ['k', k, 1],
    ['dev', dev, 0],
  ] as const) {
    if (!Number.isInteger(value) || value < least)
      throw new InputError('OPTION_RANGE', `Expected ${name} to be a whole number from ${least}, received ${value}`, {
        where: { key: name },
      })
  } // prettier-ignore
  const byPath = new Map<string, number[]>()
  const seen = new Set<string>()
  for (const row of drawOrder(rows, seed)) {
    const { text, labels } = rows[row]!
    if (seen.has(text)) continue
    seen.add(text)
    for (const key of new Set(labels.map((path) => JSON.stringify(path)))) {
      const known = byPath.get(key)
      if (known) known.push(row)
      else byPath.set(key, [row])
    }
  }
  if (byPath.size === 0)
    throw new InputError('DATA_EMPTY', 'No row has a label', {
      help: 'name the column of labels, for example: --labels-column category',
    })
  const paths = [...byPath].sort(([a, x], [b, y]) => x.length - y.length || (a < b ? -1 : 1))
  const taken = new Set<number>()
  const draw = (wanted: number) => {
    const counts = new Map<string, number>()
    const drawn: number[] = []
    for (const [key, own] of paths) {
      for (const row of own) {
        if ((counts.get(key) ?? 0) >= wanted) break
        if (taken.has(row)) continue
        taken.add(row)
        drawn.push(row)
        for (const other of new Set(rows[row]!.labels.map((path) => JSON.stringify(path))))
          counts.set(other, (counts.get(other) ?? 0) + 1)
      }
    }
    return { rows: drawn.sort((a, b) => a - b).map((row) => rows[row]!), counts }
  }
  const train = draw(k)
  const short = paths.flatMap(([key]) => {
    const count = train.counts.get(key) ?? 0
    return count < k ? [{ path: JSON.parse(key) as string[], rows: count }] : []
  })
  return { train: train.rows, dev: dev === 0 ? [] : draw(dev).rows, short }
}

/** Rows in an order that their texts and labels decide. */
function drawOrder(rows: readonly Labelled[], seed: number): number[] {
  const draws = rows.map(({ text, labels }) => keyWords([seed, 'few-shot paths', text, JSON.stringify(labels)]))
  return Array.from(rows, (_, row) => row).sort((a, b) => {
    for (let word = 0; word < 4; word++)
      if (draws[a]![word] !== draws[b]![word]) return draws[a]![word]! - draws[b]![word]!
    return a - b
  })
}
