/** Rates labelled rows for a chat model by the prompt that each needs (hpt-hpf, see evaluate/hp-score.ts). */
import type { Dataset } from '../data/dataset.ts'
import type { HpScore } from '../evaluate/hp-score.ts'
import { InputError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { Classifier } from './classifier.ts'

export interface RateOptions extends RunOptions {
  /** Added to five for a row that no prompt solves: how difficult people find the data set. */
  penalty: number
  /** A selector names the level to try (adaptive framework); default: levels in order. */
  adaptive?: boolean
  /** Rows rated at most; each costs up to ten calls. Default 100. */
  rows?: number
}

/**
 * How elaborate a prompt must be before the chat model of `htc-llm` finds the label of each row, from 1 (role) to 5 (generated knowledge).
 * @throws InputError `METHOD_DATA` for any other model, `DATA_EMPTY` without a row whose label the model can give.
 * @example
 * const { score, levels } = await rateDataset(await loadClassifier('asked'), await readDataset('test.jsonl'), { penalty: 1.71 })
 */
export async function rateDataset(
  model: Classifier,
  data: Dataset,
  { rows = 100, adaptive = false, penalty, signal, onProgress }: RateOptions,
): Promise<HpScore> {
  const { scorer, tree, terminals } = model
  if (!scorer.rate)
    throw new InputError('METHOD_DATA', 'Only a model of the method htc-llm has prompts to rate data by', {
      help: 'make one: espalier train DATA --method htc-llm --method-option model=NAME --method-option shots=1 --out DIR',
    })
  const ends = new Set(terminals)
  const picked: { text: string; label: number }[] = []
  for await (const { text, labels } of data) {
    const label = labels.length === 1 ? tree.find(labels[0]!) : undefined
    if (label !== undefined && ends.has(label)) picked.push({ text, label })
    if (picked.length === rows) break
  }
  return scorer.rate(picked, {
    penalty,
    adaptive,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  })
}
