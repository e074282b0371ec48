/** What training the `ngram` model would cost, from the lengths of the texts and the number of outputs. */
import type { HeadLayout } from '../labels/head-layout.ts'
import type { TrainingCost } from './plan-encoder.ts'

/** n-grams of a text for each of its characters, and the share of them that become features of the model. */
const ngramsPerCharacter = 4.5
const featureShare = 0.1
/** Passes of the solver over the rows, and seconds for one n-gram of a row against a block of 16 outputs. */
const passes = 12
const secondsPerEntry = 1.2e-8
/** Seconds to cut one n-gram out and look it up. */
const secondsPerNgram = 4e-7
const outputsPerBlock = 16
/** Weights of a feature that are not rounded to zero, with up to so many outputs; bytes of one with its output's number, and of a feature. */
const weightsPerFeature = 5
const outputsOfWeights = 150
const bytesPerWeight = 2
const bytesPerFeature = 12
const processBytes = 120e6

export function planNgram(layout: HeadLayout, texts: readonly string[], threads: number): TrainingCost {
  const characters = texts.reduce((sum, text) => sum + text.length, 0)
  const entries = characters * ngramsPerCharacter
  const features = Math.min(2e6, entries * featureShare)
  const blocks = layout.groups.map(({ start, end }) => Math.ceil((end - start) / outputsPerBlock))
  const all = blocks.reduce((sum, count) => sum + count, 0)
  // Below the root a group sees only the rows under its parent: on each level all groups together see each row once.
  const seen = layout.groups.reduce(
    (sum, { parent }, group) => sum + (parent < 0 ? blocks[group]! : blocks[group]! / Math.max(1, all - 1)),
    0,
  )
  const solvers = Math.min(threads, all)
  const parameters = Math.round(features * weightsPerFeature * Math.max(1, layout.unitNodes.length / outputsOfWeights))
  return {
    steps: all,
    parameters,
    peakMemoryBytes: processBytes + 2 * characters + entries * 10 + solvers * 64 * (features + texts.length),
    seconds: entries * secondsPerNgram + (entries * passes * seen * secondsPerEntry) / solvers,
    weightBytes: Math.round(parameters * bytesPerWeight + features * bytesPerFeature),
  }
}
