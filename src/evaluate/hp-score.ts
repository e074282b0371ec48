/**
 * The hierarchical prompting framework: how elaborate a prompt must be before an item is solved (Budagam et al., Hierarchical prompting taxonomy, 2024).
 * "Solved" looks at the gold answer: this rates data sets and models, it is no way to answer.
 */
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'

/** One answer to an item by one strategy. */
export interface LadderAnswer {
  readonly answer: string
  readonly solved: boolean
}

/** Strategies from the plainest to the most elaborate: level 1 is `ladder[0]`. */
export type Ladder<Item> = readonly ((item: Item, signal?: AbortSignal) => Promise<LadderAnswer>)[]

export interface HpScoreOptions<Item> extends RunOptions {
  /**
   * Added to the number of levels for an item that no level solves: the data set's difficulty as people rate it (published: boolq 1.71, csqa 2.52,
   * iwslt 1.92, samsum 2.23, gsm8k 2.14, mmlu 3.03, humaneval 4.68).
   */
  penalty: number
  /**
   * Names the level to try next from the item and the last answer (adaptive framework); a level that does not exist wastes the round. Default: levels in
   * order from 1, until one solves the item (manual framework). The scores of the two are on different scales.
   */
  select?: (item: Item, last: string | undefined, signal?: AbortSignal) => Promise<number>
  /** Rounds of the adaptive framework. Default 5. */
  rounds?: number
}

export interface HpItem {
  /** Level that solved the item; undefined if none did. */
  readonly level: number | undefined
  /** Levels tried, wasted rounds included. */
  readonly rounds: number
  readonly score: number
  /** The answer that solved it, or the last one; undefined if every round was wasted. */
  readonly answer: string | undefined
}

export interface HpScore {
  /** Mean over items; lower is easier. */
  readonly score: number
  /** Share of items solved at any level. */
  readonly solved: number
  /** Items solved at each level, level 1 first. */
  readonly levels: readonly number[]
  readonly items: readonly HpItem[]
}

/**
 * Rates a data set for a model by the prompting level that each item needs. Each item and level is asked once: a level that is chosen again gives the
 * answer that it gave before.
 * @throws InputError `DATA_EMPTY` without items, `OPTION_RANGE` for a penalty below 0 or a ladder without levels.
 * @example
 * const { score } = await hpScore(items, ladder, { penalty: 1.71 })
 */
export async function hpScore<Item>(
  items: readonly Item[],
  ladder: Ladder<Item>,
  { penalty, select, rounds = 5, signal, onProgress }: HpScoreOptions<Item>,
): Promise<HpScore> {
  if (items.length === 0) throw new InputError('DATA_EMPTY', 'There are no items to rate')
  if (ladder.length === 0 || !(penalty >= 0) || !Number.isFinite(penalty))
    throw new InputError('OPTION_RANGE', `Expected at least one level and a penalty from 0, received ${penalty}`)
  const rated: HpItem[] = []
  for (const item of items) {
    throwIfAborted(signal)
    rated.push(await rate(item, ladder, { penalty, rounds: select ? rounds : ladder.length, signal, select }))
    onProgress?.({ step: 'rate', done: rated.length, total: items.length, unit: 'items' })
  }
  return {
    score: rated.reduce((sum, { score }) => sum + score, 0) / rated.length,
    solved: rated.filter(({ level }) => level !== undefined).length / rated.length,
    levels: ladder.map((_, i) => rated.filter(({ level }) => level === i + 1).length),
    items: rated,
  }
}

async function rate<Item>(
  item: Item,
  ladder: Ladder<Item>,
  {
    penalty,
    rounds,
    select,
    signal,
  }: Pick<HpScoreOptions<Item>, 'penalty' | 'select'> & { rounds: number; signal: AbortSignal | undefined },
): Promise<HpItem> {
  const known = new Map<number, LadderAnswer>()
  let last: string | undefined
  for (let round = 1; round <= rounds; round++) {
    const level = select ? await select(item, last, signal) : round
    const strategy = Number.isInteger(level) ? ladder[level - 1] : undefined
    if (!strategy) continue
    const found = known.get(level) ?? (await strategy(item, signal))
    known.set(level, found)
    last = found.answer
    if (found.solved) return { level, rounds: round, score: select ? level + round : level, answer: last }
  }
  return { level: undefined, rounds, score: ladder.length + penalty, answer: last }
}
