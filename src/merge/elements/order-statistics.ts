/**
 * Exact order statistics of signed values over the whole model, without sorting: two counting passes over the bits of their float32 form
 * (high half, then the low half within the buckets found), as in `select.ts` but with the sign. Values are compared as float32.
 */
import type { Block, TensorTask } from '../engine/tensor-task.ts'
import type { Survey } from '../merge-method.ts'
import { type Bucket, bucketOf } from './select.ts'

const buckets = 65_536

/** Values of a block, by the name of their series. */
export type Series = Iterable<readonly [name: string, values: Float64Array]>

export interface OrderStatistics<Before, After> {
  values(task: TensorTask, block: Block, before: Before): Series
  /** The ranks that are asked for of a series of `count` values, from 1 (the largest) to `count`. */
  ranks(count: number): readonly number[]
  /** What the values at those ranks mean, by series. */
  settle(found: ReadonlyMap<string, readonly number[]>, before: Before): After
}

type Counters = Map<string, Uint32Array[]>

interface Found {
  readonly before: unknown
  readonly places: ReadonlyMap<string, readonly Bucket[]>
}

/** Two surveys that end in what `settle` makes of the values found. */
export function orderStatistics<Before, After>(plan: OrderStatistics<Before, After>): readonly Survey<Counters>[] {
  const count = (
    task: TensorTask,
    before: Before,
    counters: Counters,
    add: (bits: Uint32Array, name: string, counters: Counters) => void,
  ) => {
    const rounded = new Float32Array(0)
    let scratch = { floats: rounded, bits: new Uint32Array(rounded.buffer) }
    for (const block of task.blocks())
      for (const [name, values] of plan.values(task, block, before)) {
        if (scratch.floats.length < values.length) {
          const floats = new Float32Array(values.length)
          scratch = { floats, bits: new Uint32Array(floats.buffer) }
        }
        scratch.floats.set(values)
        add(scratch.bits.subarray(0, values.length), name, counters)
      }
    return counters
  }
  const countersOf = (all: Counters, name: string, ranks: number): Uint32Array[] => {
    const found = all.get(name) ?? Array.from({ length: ranks }, () => new Uint32Array(buckets))
    all.set(name, found)
    return found
  }
  return [
    {
      measure: (task, _options, before) =>
        count(task, before as Before, new Map(), (bits, name, all) => {
          const [counters] = countersOf(all, name, 1)
          for (let i = 0; i < bits.length; i++) counters![highOf(bits[i]!)]!++
        }),
      combine,
      settle(counters, before): Found {
        const places = Array.from(counters, ([name, [counts]]) => {
          const total = counts!.reduce((sum, n) => sum + n, 0)
          return [name, plan.ranks(total).map((rank) => bucketOf(counts!, rank)!)] as const
        })
        return { before, places: new Map(places) }
      },
    },
    {
      measure(task, _options, settled) {
        const { before, places } = settled as Found
        return count(task, before as Before, new Map(), (bits, name, all) => {
          const wanted = places.get(name)!
          const counters = countersOf(all, name, wanted.length)
          for (let i = 0; i < bits.length; i++) {
            const high = highOf(bits[i]!)
            for (let r = 0; r < wanted.length; r++) if (wanted[r]!.index === high) counters[r]![lowOf(bits[i]!)]!++
          }
        })
      },
      combine,
      settle(counters, settled): After {
        const { before, places } = settled as Found
        const values = Array.from(counters, ([name, counts]) => {
          const wanted = places.get(name)!
          return [
            name,
            wanted.map(({ index, inside }, r) => valueAt(index, bucketOf(counts[r]!, inside)!.index)),
          ] as const
        })
        return plan.settle(new Map(values), before as Before)
      },
    },
  ]
}

function combine(a: Counters, b: Counters): Counters {
  for (const [name, counters] of b) {
    const sums = a.get(name)
    if (!sums) a.set(name, counters)
    else for (const [r, counts] of counters.entries()) for (let i = 0; i < buckets; i++) sums[r]![i]! += counts[i]!
  }
  return a
}

// Buckets ascend with the value: negative numbers, whose bits ascend with their magnitude, come first and backwards.
const highOf = (bits: number): number =>
  bits >>> 31 === 1 ? 32_767 - ((bits >>> 16) & 0x7fff) : 32_768 + (bits >>> 16)
const lowOf = (bits: number): number => (bits >>> 31 === 1 ? 65_535 - (bits & 0xffff) : bits & 0xffff)

function valueAt(high: number, low: number): number {
  const bits =
    high < 32_768 ? (((32_767 - high) << 16) | (65_535 - low) | 0x80000000) >>> 0 : ((high - 32_768) << 16) | low
  return new Float32Array(Uint32Array.of(bits).buffer)[0]!
}
