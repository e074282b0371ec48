/** Puts solved blocks together into a model: weights by feature instead of by problem, without features that weigh nothing. */
import type { NgramParts } from '../models/ngram-parts.ts'
import type { NgramOptions } from '../text/ngram-hasher.ts'
import type { SolvedBlocks } from './linear-blocks.ts'
import type { Calibration } from './linear-calibrate.ts'
import type { Vocabulary } from './linear-features.ts'
import type { LinearProblems } from './linear-problems.ts'

export function assembleModel(
  ngrams: NgramOptions,
  vocabulary: Vocabulary,
  problems: LinearProblems,
  solved: SolvedBlocks,
  { sharpness, shift }: Calibration,
): NgramParts {
  const features = vocabulary.hashes.length
  const scales = new Float32Array(problems.count)
  const biases = new Float32Array(problems.count)
  const counts = new Uint32Array(features)
  const blocks = [...solved].sort((a, b) => a.index - b.index)
  for (const { index, block } of blocks) {
    scales.set(block.scales, problems.blocks[index]!.first)
    biases.set(block.biases, problems.blocks[index]!.first)
    for (const column of block.columns) counts[column]!++
  }
  const newColumn = new Uint32Array(features)
  let kept = 0
  for (let column = 0; column < features; column++) if (counts[column]! > 0) newColumn[column] = kept++
  const hashes = new Uint32Array(kept)
  const featureWeights = new Float32Array(kept)
  const offsets = new Uint32Array(kept + 1)
  for (let column = 0; column < features; column++) {
    if (counts[column] === 0) continue
    const to = newColumn[column]!
    hashes[to] = vocabulary.hashes[column]!
    featureWeights[to] = vocabulary.weights[column]!
    offsets[to + 1] = offsets[to]! + counts[column]!
  }
  const total = offsets[kept]!
  const ids = new (problems.count <= 256 ? Uint8Array : problems.count <= 65_536 ? Uint16Array : Uint32Array)(total)
  const weights = new Int8Array(total)
  const cursor = offsets.slice(0, kept)
  for (const { index, block } of blocks) {
    const { first, size } = problems.blocks[index]!
    for (let p = 0; p < size; p++) {
      for (let i = block.offsets[p]!; i < block.offsets[p + 1]!; i++) {
        const at = cursor[newColumn[block.columns[i]!]!]!++
        ids[at] = first + p
        weights[at] = block.weights[i]!
      }
    }
  }
  const { combination } = problems
  return {
    ngrams,
    hashes,
    featureWeights,
    offsets,
    problems: ids,
    weights,
    scales,
    biases,
    unitOffsets: combination.offsets,
    unitProblems: combination.problems,
    unitFactors: combination.factors.map((factor) => factor * sharpness),
    unitShifts: new Float32Array(combination.offsets.length - 1).fill(shift),
  }
}

/** Margins of the held-out rows, [held-out rows x problems]. */
export function gatherMargins(problems: LinearProblems, solved: SolvedBlocks, rows: number): Float32Array {
  const margins = new Float32Array(rows * problems.count)
  for (const { index, block } of solved) {
    const { first, size } = problems.blocks[index]!
    for (let row = 0; row < rows; row++)
      margins.set(block.margins.subarray(row * size, (row + 1) * size), row * problems.count + first)
  }
  return margins
}
