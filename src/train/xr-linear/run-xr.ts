/** The whole training of an `xr-linear` model, in the thread that calls it; parts of the tree are shared out among further threads. */
import { chunksInMemory } from '../../models/xr-chunks.ts'
import type { XrParts } from '../../models/xr-linear.ts'
import { nodeCount, slotsOf, type XrSlots, type XrTree } from '../../models/xr-tree.ts'
import { Arena } from '../../tensor/kernels/arena.ts'
import { defaultNgrams, type NgramOptions } from '../../text/ngram-hasher.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { runInWorker, workerUrl } from '../../util/worker.ts'
import { type LinearMatrix, linearFeatures } from '../linear-features.ts'
import { defaultLinearOptions } from '../linear-options.ts'
import { sharedUint32 } from '../linear-problems.ts'
import { clusterTree } from './cluster-tree.ts'
import { labelVectors, type UnitRows } from './label-vectors.ts'
import { cutParts, type PartsJob, solveParts } from './node-parts.ts'
import { allocateNodeSpace, type NodeProblem, type TrainedNode } from './node-solver.ts'
import { strangersOf } from './strangers.ts'
import type { XrOptions } from './xr-options.ts'

export interface XrJob {
  readonly texts: readonly string[]
  /** Row r has the units labels[offsets[r]..offsets[r+1]). */
  readonly labels: { readonly offsets: Uint32Array; readonly labels: Uint32Array }
  readonly units: number
  /** The tree to search; undefined: learnt. */
  readonly tree: XrTree | undefined
  readonly options: XrOptions
  readonly seed: number
  readonly threads: number
  readonly workFolder: string | undefined
}

/** The parts of a model, its chunks as one byte array a node. */
export interface XrResult {
  readonly parts: Omit<XrParts, 'chunks'>
  readonly bytes: readonly Uint8Array[]
  /** For the record of the run. */
  readonly facts: {
    readonly features: number
    readonly entries: number
    readonly levels: number
    readonly nodes: number
  }
}

export const xrNgrams = ({ features }: XrOptions): NgramOptions =>
  features === 'words' ? { minCharacters: 1, maxCharacters: 0, maxWords: 1 } : defaultNgrams

/** Features kept of a label for the tree. */
const labelFeatures = 128
const partsOfTree = 64

export async function runXr(job: XrJob, run: RunOptions): Promise<XrResult> {
  const { texts, labels, units, options, seed } = job
  const ngrams = xrNgrams(options)
  const arena = Arena.shared()
  const { matrix, vocabulary } = await linearFeatures(
    texts,
    // No labels to weigh features by: plain TF-IDF ranks as well here, and costs less.
    { count: 0, offsets: new Uint32Array(texts.length + 1), labels: new Uint32Array() },
    ngrams,
    defaultLinearOptions,
    arena,
    run,
  )
  const unitRows = rowsOfUnits(units, labels)
  const tree = job.tree ?? (await learnTree(arena, matrix, unitRows, job, run))
  const slots = slotsOf(tree)
  const problem: NodeProblem = { tree, slots, unitRows, cost: options.cost, threshold: options.threshold, seed }
  const nodes = nodeCount(tree)
  const trained: TrainedNode[] = new Array<TrainedNode>(nodes)
  const spaces = Array.from({ length: job.threads }, () => allocateNodeSpace(arena, matrix))
  let done = 0
  const counted: RunOptions = {
    ...(run.signal ? { signal: run.signal } : {}),
    onProgress: (progress) =>
      run.onProgress?.({ step: 'train xr-linear', done: (done += progress.done), total: nodes, unit: 'nodes' }),
  }
  /** Stages that wait for each other: levels, if a level's rows depend on the levels above. */
  const stages = options.negatives === 'tfn' ? [Array.from({ length: nodes }, (_, node) => node)] : byLevel(slots)
  for (const [stage, members] of stages.entries()) {
    const strangers =
      stage === 0 ? undefined : await strangersOf(arena, matrix, problem, trained, members, options.beam, run)
    const jobs = spaces.map(
      (space): PartsJob => ({
        memory: arena.memory,
        matrix,
        space,
        problem,
        parts: cutParts(String(stage), members, workOf(problem), partsOfTree),
        strangers,
        next: new Int32Array(0),
        workFolder: job.workFolder,
      }),
    )
    const next = new Int32Array(sharedUint32(1).buffer)
    const url = workerUrl(import.meta.url, './parts-worker.ts')
    const others = jobs.slice(1).map((own) => runInWorker<PartsJob, TrainedNode[]>(url, { ...own, next }, counted))
    const all = await Promise.all([solveParts({ ...jobs[0]!, next }, counted), ...others])
    for (const node of all.flat()) trained[node.node] = node
  }
  return assemble(job, ngrams, vocabulary, tree, slots, trained, matrix)
}

async function learnTree(
  arena: Arena,
  matrix: LinearMatrix,
  unitRows: UnitRows,
  { options, seed }: XrJob,
  { signal, onProgress }: RunOptions,
): Promise<XrTree> {
  onProgress?.({ step: 'label tree', done: 0 })
  const rows = {
    offsets: arena.u32(matrix.offsets, matrix.rows + 1),
    columns: arena.u32(matrix.columns, matrix.entries),
    values: arena.f32(matrix.values, matrix.entries),
  }
  const vectors = labelVectors(rows, unitRows, matrix.features, labelFeatures)
  throwIfAborted(signal)
  return shared(await clusterTree(vectors, matrix.features, { ...options, seed }, { signal, onProgress }))
}

/** The same tree in memory that threads share. */
function shared({ childStart, targets }: XrTree): XrTree {
  const copy = (values: Uint32Array) => {
    const to = sharedUint32(values.length)
    to.set(values)
    return to
  }
  return { childStart: copy(childStart), targets: copy(targets) }
}

function rowsOfUnits(units: number, { offsets, labels }: XrJob['labels']): UnitRows {
  const starts = sharedUint32(units + 1)
  for (const unit of labels) starts[unit + 1]!++
  for (let unit = 0; unit < units; unit++) starts[unit + 1]! += starts[unit]!
  const cursor = starts.slice(0, units)
  const rows = sharedUint32(labels.length)
  for (let row = 0; row + 1 < offsets.length; row++)
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) rows[cursor[labels[i]!]!++] = row
  return { offsets: starts, rows }
}

function byLevel({ levels }: XrSlots): number[][] {
  const stages: number[][] = []
  for (const [node, level] of levels.entries()) (stages[level] ??= []).push(node)
  return stages
}

/** About how much there is to do at a node: its rows, for each 16 children. */
function workOf({ tree, slots, unitRows }: NodeProblem): (node: number) => number {
  const before = new Float64Array(slots.units.length + 1)
  for (const [slot, unit] of slots.units.entries())
    before[slot + 1] = before[slot]! + unitRows.offsets[unit + 1]! - unitRows.offsets[unit]!
  return (node) => {
    const first = tree.childStart[node]!
    const last = tree.childStart[node + 1]! - 1
    return (before[slots.to[last]!]! - before[slots.from[first]!]!) * Math.ceil((last - first + 1) / 16) + 1
  }
}

function assemble(
  { units, options }: XrJob,
  ngrams: NgramOptions,
  vocabulary: { hashes: Uint32Array; weights: Float32Array },
  tree: XrTree,
  slots: XrSlots,
  trained: readonly TrainedNode[],
  matrix: LinearMatrix,
): XrResult {
  const nodes = nodeCount(tree)
  const scales = new Float32Array(tree.targets.length)
  const biases = new Float32Array(tree.targets.length)
  const sizes = { features: new Uint32Array(nodes), entries: new Uint32Array(nodes) }
  for (const [node, part] of trained.entries()) {
    scales.set(part.scales, tree.childStart[node]!)
    biases.set(part.biases, tree.childStart[node]!)
    sizes.features[node] = part.size.features
    sizes.entries[node] = part.size.entries
  }
  // Features that weigh nothing anywhere are left out, and the others numbered anew.
  const bytes = trained.map((part) => part.bytes)
  const views = chunksInMemory(tree, sizes, bytes)
  const columnOf = new Uint32Array(vocabulary.hashes.length)
  for (let node = 0; node < nodes; node++) for (const column of views.chunk(node).features) columnOf[column] = 1
  let kept = 0
  for (let column = 0; column < columnOf.length; column++) if (columnOf[column] === 1) columnOf[column] = ++kept
  const hashes = new Uint32Array(kept)
  const featureWeights = new Float32Array(kept)
  for (const [column, number] of columnOf.entries()) {
    if (number === 0) continue
    hashes[number - 1] = vocabulary.hashes[column]!
    featureWeights[number - 1] = vocabulary.weights[column]!
  }
  for (let node = 0; node < nodes; node++) {
    const { features } = views.chunk(node)
    for (let i = 0; i < features.length; i++) features[i] = columnOf[features[i]!]! - 1
  }
  const plain = { childStart: tree.childStart.slice(), targets: tree.targets.slice() }
  return {
    parts: { ngrams, beam: options.beam, units, hashes, featureWeights, tree: plain, scales, biases, sizes },
    bytes,
    facts: {
      features: kept,
      entries: matrix.entries,
      levels: 1 + slots.levels.reduce((most, level) => Math.max(most, level), 0),
      nodes,
    },
  }
}
