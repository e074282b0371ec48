/** The zoo's own base: a small encoder pretrained here by masked language modelling on the training texts of the sets, no labels, no test rows. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { datasetOf, pretrain } from '../../dist/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { readRows } from './tasks.ts'

/** Sets whose training texts the base reads. */
const sets = [
  'trec',
  'clinc150',
  'banking77',
  'ag_news',
  'sst2',
  'subj',
  'cr',
  'tweet_emotion',
  'tweet_irony',
  'tweet_hate',
  'tweet_offensive',
  'goemotions',
]

const shapes = {
  tiny: { texts: 6000, vocabularySize: 3000, layers: 2, hiddenSize: 64, maxLength: 24, epochs: 2, learningRate: 2e-3 },
  small: {
    texts: 24000,
    vocabularySize: 4000,
    layers: 3,
    hiddenSize: 128,
    maxLength: 32,
    epochs: 4,
    learningRate: 2e-3,
  },
}

export interface BaseOptions {
  size: 'tiny' | 'small'
  data: string
  cache: string
  onStep: (text: string) => void
}

/** The folder of the pretrained base; trained first if the cache lacks it. Its `train-log.jsonl` holds the loss curve. */
export async function preparePretrainedBase({ size, data, cache, onStep }: BaseOptions): Promise<string> {
  const { texts, ...shape } = shapes[size]
  const out = join(cache, 'zoo', `base-${size}`)
  if (existsSync(out)) return out
  const all = [...new Set(sets.flatMap((set) => readRows(data, set, 'train').map(({ text }) => text)))]
  const order = permutation(all.length, random('zoo base'))
  const drawn = Array.from(order.subarray(0, texts), (i) => ({ text: all[i]! }))
  const start = performance.now()
  const { history } = await pretrain(datasetOf(drawn), {
    ...shape,
    out,
    seed: 0,
    threads: 1,
    resume: existsSync(`${out}.training`),
  })
  const losses = history.flatMap(({ dev }) => (dev ? [dev['loss']!.toFixed(3)] : []))
  onStep(`${size} base: held-out loss ${losses.join(', ')} in ${((performance.now() - start) / 1000).toFixed(0)} s`)
  return out
}
