/** Cuts by magnitude over the whole model: the counting passes of `select.ts`, with the counters of all tensors added up. */
import type { TensorTask } from '../engine/tensor-task.ts'
import type { Survey } from '../merge-method.ts'
import { type Bucket, bucketOf, type Cut, cutOf } from './select.ts'

/** Counters by model, and how many elements each is to keep. */
interface Counts {
  readonly counters: Map<string, Uint32Array>
  readonly kept: Map<string, number>
}

function combine(a: Counts, b: Counts): Counts {
  for (const [key, counters] of b.counters) {
    const sum = a.counters.get(key)
    if (!sum) a.counters.set(key, counters.slice())
    else for (let i = 0; i < sum.length; i++) sum[i]! += counters[i]!
  }
  for (const [key, kept] of b.kept) a.kept.set(key, (a.kept.get(key) ?? 0) + kept)
  return a
}

/** The counters lie in the kernels' memory until they are kept. */
function keep({ counters, kept }: Counts): Counts {
  return { counters: new Map([...counters].map(([key, counts]) => [key, counts.slice()])), kept }
}

/**
 * Two surveys that end in a cut for each model, by its key. All elements equal to the cut are on its larger side: which of them come first
 * is no property of a model.
 * @param share how many elements of each model the tensor contributes to the kept ones.
 */
export function modelCuts<Options>(
  share: (task: TensorTask, options: Options) => readonly number[],
): readonly Survey<Counts>[] {
  const count = (
    task: TensorTask,
    size: number,
    add: (t: number, values: Float64Array, counters: Uint32Array) => void,
  ) => {
    const words = task.keys.map((_, t) => task.kernels.words(`model counters ${t}`, size).fill(0))
    for (const block of task.blocks()) for (const [t, counters] of words.entries()) add(t, block.delta(t), counters)
    return new Map(task.keys.map((key, t) => [key, words[t]!]))
  }
  return [
    {
      measure(task, options, _settled) {
        const kept = share(task, options as Options)
        return {
          counters: count(task, 32_768, (_, values, counters) => task.kernels.countHigh(values, counters)),
          kept: new Map(task.keys.map((key, t) => [key, kept[t]!])),
        }
      },
      combine,
      keep,
      settle: ({ counters, kept }) =>
        new Map([...counters].map(([key, counts]) => [key, bucketOf(counts, kept.get(key)!)])),
    },
    {
      measure(task, _options, settled) {
        const buckets = settled as ReadonlyMap<string, Bucket | undefined>
        return {
          counters: count(task, 65_536, (t, values, counters) => {
            const bucket = buckets.get(task.keys[t]!)
            if (bucket) task.kernels.countLow(values, bucket.index, counters)
          }),
          kept: new Map(),
        }
      },
      combine,
      keep,
      settle({ counters }, settled) {
        const cuts = new Map<string, Cut>()
        for (const [key, bucket] of settled as ReadonlyMap<string, Bucket | undefined>)
          cuts.set(
            key,
            bucket
              ? { threshold: cutOf(bucket, counters.get(key)!).threshold, quota: 2 ** 31 - 1 }
              : { threshold: 0xffffffff, quota: 0 },
          )
        return cuts
      },
    },
  ]
}
