/** What training the `ngram` model would cost, from the lengths of the texts and the number of outputs. */
import type { HeadLayout } from '../labels/head-layout.ts'
import type { TrainingCost } from './plan-encoder.ts'

/** n-grams of a text for each of its characters, and their share that no other text has had. */
const ngramsPerCharacter = 4.5
const newShare = 0.12
/** Passes of the solver over the rows, and seconds for one n-gram of a row against a block of 16 outputs. */
const passes = 12
const secondsPerEntry = 6e-9
/** Seconds to cut one n-gram out and look it up. */
const secondsPerNgram = 4e-7
const outputsPerBlock = 16
/** Share of the weights that is not rounded to zero, and bytes of one with its output's number. */
const keptWeights = 0.25
const bytesPerWeight = 2
const processBytes = 120e6

export function planNgram(layout: HeadLayout, texts: readonly string[], threads: number): TrainingCost {
  const characters = texts.reduce((sum, text) => sum + text.length, 0)
  const entries = characters * ngramsPerCharacter
  const features = Math.min(2e6, entries * newShare)
  const blocks = layout.groups.map(({ start, end }) => Math.ceil((end - start) / outputsPerBlock))
  const all = blocks.reduce((sum, count) => sum + count, 0)
  // Below the root a group sees only the rows under its parent: on each level all groups together see each row once.
  const seen = layout.groups.reduce(
    (sum, { parent }, group) => sum + (parent < 0 ? blocks[group]! : blocks[group]! / Math.max(1, all - 1)),
    0,
  )
  const solvers = Math.min(threads, all)
  const parameters = Math.round(entries * newShare * keptWeights * Math.min(layout.unitNodes.length, 12))
  return {
    steps: all,
    parameters,
    peakMemoryBytes: processBytes + 2 * characters + entries * 10 + solvers * 64 * (features + texts.length),
    seconds: entries * secondsPerNgram + (entries * passes * seen * secondsPerEntry) / solvers,
    weightBytes: parameters * bytesPerWeight,
  }
}
