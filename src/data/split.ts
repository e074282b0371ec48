/**
 * Splits rows into train, dev and test: stratified by label set (Kohavi 1995), by seed, with all rows of one text on one side. A row's side
 * depends on the seed, the texts and the labels, never on the order of the rows.
 */
import { random } from '../tensor/random.ts'
import { InputError } from '../util/errors.ts'

export interface SplitOptions {
  /** Share of the rows for dev, 0 to below 1; from 1 on, a number of rows. Default 0.1. */
  dev?: number
  /** The same for test. Default 0. */
  test?: number
  seed: number
  /** False: label sets are not looked at. Default true. */
  stratify?: boolean
}

export interface Split<T> {
  train: T[]
  dev: T[]
  test: T[]
}

interface Labelled {
  text: string
  labels: readonly (readonly string[])[]
}

/** Rows with one text; they stay together. */
interface Group {
  text: string
  rows: number[]
  labels: string[]
  /** Decides the order among groups. */
  draw: number
  part: keyof Split<unknown>
}

/**
 * Splits rows; each part keeps the rows' order. With `stratify`, every label that occurs keeps at least one text in train, so a label with a
 * single text is never in dev or test; label sets that occur once are drawn from together. Dev and test then have at most the rows asked for,
 * fewer by what rare labels and repeated texts hold back.
 *
 * @throws InputError `SPLIT_SIZE` if the sizes are negative, not numbers, or leave nothing for train.
 * @example
 * const { train, dev } = splitRows(await data.collect(), { dev: 0.1, seed: 1 })
 */
export function splitRows<T extends Labelled>(rows: readonly T[], options: SplitOptions): Split<T> {
  const { dev = 0.1, test = 0, seed, stratify = true } = options
  const sizes = { test: partSize('test', test, rows.length), dev: partSize('dev', dev, rows.length) }
  if (rows.length > 0 && sizes.test + sizes.dev >= rows.length)
    throw new InputError('SPLIT_SIZE', `Dev and test would take all ${rows.length} rows`, { help: 'make them smaller' })
  const groups = groupsByText(rows, seed)
  const strata = stratify ? strataOf(groups) : [groups]
  for (const part of ['test', 'dev'] as const) allot(strata, part, sizes[part], rows.length, stratify)
  if (stratify) keepLabelsInTrain(groups)
  const side = new Array<Group['part']>(rows.length)
  for (const group of groups) for (const row of group.rows) side[row] = group.part
  const split: Split<T> = { train: [], dev: [], test: [] }
  for (const [index, row] of rows.entries()) split[side[index]!].push(row)
  return split
}

function partSize(name: string, size: number, rows: number): number {
  if (!(size >= 0) || (size > 1 && !Number.isInteger(size)))
    throw new InputError('SPLIT_SIZE', `Expected ${name} to be a share below 1 or a number of rows, received ${size}`, {
      where: { key: name },
    })
  return size < 1 ? Math.round(size * rows) : size
}

/** One group for each text, ordered by its draw. */
function groupsByText(rows: readonly Labelled[], seed: number): Group[] {
  const byText = new Map<string, Group>()
  for (const [index, { text, labels }] of rows.entries()) {
    let group = byText.get(text)
    if (!group) {
      group = { text, rows: [], labels: [], draw: random(seed, 'split', text).uniform(0), part: 'train' }
      byText.set(text, group)
    }
    group.rows.push(index)
    for (const path of labels) {
      const label = JSON.stringify(path)
      if (!group.labels.includes(label)) group.labels.push(label)
    }
  }
  for (const group of byText.values()) group.labels.sort()
  return [...byText.values()].sort((a, b) => a.draw - b.draw || (a.text < b.text ? -1 : 1))
}

/** Groups by label set, in the order of their first draws. Sets of one group are put together, without those that have a label of their own. */
function strataOf(groups: readonly Group[]): Group[][] {
  const bySet = new Map<string, Group[]>()
  for (const group of groups) {
    const set = group.labels.join('\n')
    const stratum = bySet.get(set)
    if (stratum) stratum.push(group)
    else bySet.set(set, [group])
  }
  const strata = [...bySet.values()].filter((stratum) => stratum.length > 1)
  const holders = new Map<string, number>()
  for (const label of groups.flatMap((group) => group.labels)) holders.set(label, (holders.get(label) ?? 0) + 1)
  const rare = [...bySet.values()]
    .filter((stratum) => stratum.length === 1)
    .flat()
    .filter((group) => group.labels.every((label) => holders.get(label)! > 1))
  return rare.length > 0 ? [...strata, rare] : strata
}

const rowsOf = (groups: readonly Group[]) => groups.reduce((sum, group) => sum + group.rows.length, 0)

/** Gives each stratum its share of a part by largest remainders, and takes groups from train in the order of their draws. */
function allot(strata: Group[][], part: 'dev' | 'test', size: number, total: number, keepsOne: boolean): void {
  const quotas = strata.map((stratum) => (size * rowsOf(stratum)) / total)
  const whole = quotas.map(Math.floor)
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  let left = Math.round(sum(quotas)) - sum(whole)
  const byRemainder = quotas.map((quota, index) => ({ index, remainder: quota - Math.floor(quota) }))
  byRemainder.sort((a, b) => b.remainder - a.remainder || a.index - b.index)
  for (const { index } of byRemainder) if (left-- > 0) whole[index]!++
  for (const [index, stratum] of strata.entries()) {
    const free = stratum.filter((group) => group.part === 'train')
    let open = whole[index]!
    let remaining = free.length - (keepsOne ? 1 : 0)
    for (const group of free) {
      if (remaining <= 0) break
      if (group.rows.length > open) continue
      group.part = part
      open -= group.rows.length
      remaining--
    }
  }
}

/** Moves groups back to train until every label has one there. */
function keepLabelsInTrain(groups: readonly Group[]): void {
  const inTrain = new Set(groups.filter((group) => group.part === 'train').flatMap((group) => group.labels))
  for (const group of groups) {
    if (group.part === 'train' || group.labels.every((label) => inTrain.has(label))) continue
    group.part = 'train'
    for (const label of group.labels) inTrain.add(label)
  }
}
