/** Rows made ready for training: texts, label ids, the tree they belong to, and what a head must know of them. One pass over the data. */
import type { Dataset } from '../data/dataset.ts'
import type { Row } from '../data/row.ts'
import { extendTree } from '../labels/extend-tree.ts'
import { LabelTree } from '../labels/label-tree.ts'
import { readLabelTree } from '../labels/read-label-tree.ts'
import { EspalierError, InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { HeadContext } from './head-method.ts'

export interface LabelledTexts {
  texts: string[]
  /** Per row the ids of its labels, as the ends of its paths. */
  labels: number[][]
}

export interface TrainingData {
  tree: LabelTree
  context: HeadContext
  train: LabelledTexts
  /** From the dev set that was given; undefined without one. */
  dev: LabelledTexts | undefined
  /** What a person should know before training. */
  warnings: string[]
}

export interface TrainingDataOptions extends RunOptions {
  labels?: LabelTree | string
  dev?: Dataset
  unknownLabels?: 'error' | 'skip' | 'add'
}

/** Texts and their label paths, each distinct path kept once. */
interface RawRows {
  texts: string[]
  /** Per row indices into `paths`. */
  paths: number[][]
}

/** Distinct paths in order of first appearance, with the place where each was first seen. */
class PathTable {
  readonly paths: { path: string[]; file: string; line: number }[] = []
  readonly #index = new Map<string, number>()

  add(path: string[], row: Row): number {
    const key = JSON.stringify(path)
    let index = this.#index.get(key)
    if (index === undefined) {
      index = this.paths.length
      this.#index.set(key, index)
      this.paths.push({ path, file: row.file, line: row.line })
    }
    return index
  }
}

/**
 * Reads training rows (and dev rows), finds or builds the label tree, and resolves every label.
 * @throws InputError `DATA_EMPTY`, `LABELS_NONE`, `LABELS_ONE`, `LABEL_UNKNOWN`, `LABEL_AMBIGUOUS`, and the errors of reading data and trees.
 */
export async function readTrainingData(data: Dataset, options: TrainingDataOptions = {}): Promise<TrainingData> {
  const table = new PathTable()
  const raw = await readRaw(data, 'read training rows', table, options)
  const trainPaths = table.paths.length
  const rawDev = options.dev ? await readRaw(options.dev, 'read dev rows', table, options) : undefined
  const file = data.files[0] ?? ''
  if (raw.texts.length === 0)
    throw new InputError('DATA_EMPTY', 'There is no row to train on', {
      where: { file },
      help: 'give a file with at least one row',
    })
  if (trainPaths === 0) {
    throw new InputError('LABELS_NONE', 'No training row has a label', {
      where: { file },
      help: 'name the column of labels, for example: --labels-column category',
    })
  }
  const { tree, ids } = await treeOf(table, trainPaths, options)
  const warnings: string[] = []
  const train = resolve(raw, ids, tree)
  const dev = rawDev && resolve(rawDev, ids, tree)
  const multiLabel = train.labels.some((row) => row.length > 1)
  for (const [name, part] of [
    ['training', train],
    ['dev', dev],
  ] as const) {
    if (!part) continue
    if (part.unknown > 0) warnings.push(`${part.unknown} ${name} rows left out: none of their labels is in the tree`)
    if (multiLabel) continue
    const kept = part.labels.flatMap((row, index) => (row.length > 0 ? [index] : []))
    if (kept.length === part.labels.length) continue
    warnings.push(
      `${part.labels.length - kept.length} ${name} rows have no label and are left out; a model abstains with --min-confidence`,
    )
    part.texts = kept.map((index) => part.texts[index]!)
    part.labels = kept.map((index) => part.labels[index]!)
  }
  if (dev?.labels.some((row) => row.length > 1) && !multiLabel) {
    throw new InputError('DATA_MIXED', 'The dev rows have several label paths per row, the training rows have one', {
      where: { file: options.dev?.files[0] ?? '' },
      help: 'use a dev set of the same kind',
    })
  }
  if (train.texts.length === 0)
    throw new InputError('LABELS_NONE', 'No training row has a label of the tree', {
      where: { file },
      help: 'check the label tree and the column of labels',
    })
  const ends = new Set(train.labels.flat())
  if (ends.size < 2 && !multiLabel) {
    throw new InputError(
      'LABELS_ONE',
      `All training rows have the same label, "${tree.path([...ends][0]!).join(' › ')}"`,
      { where: { file }, help: 'a classifier needs rows of at least two labels' },
    )
  }
  const terminals = tree.nodes.filter(({ id, children }) => children.length === 0 || ends.has(id)).map(({ id }) => id)
  const bare = tree.leaves.filter((id) => !ends.has(id))
  if (bare.length > 0) {
    const names = bare.slice(0, 3).map((id) => tree.path(id).join(' › '))
    warnings.push(
      `${bare.length} of ${tree.leaves.length} leaves have no training row (${names.join(', ')}${bare.length > 3 ? ', ...' : ''})`,
    )
  }
  return { tree, context: { multiLabel, terminals }, train, dev, warnings }
}

async function readRaw(
  data: Dataset,
  step: string,
  table: PathTable,
  { signal, onProgress }: RunOptions,
): Promise<RawRows> {
  const raw: RawRows = { texts: [], paths: [] }
  for await (const row of data) {
    throwIfAborted(signal)
    raw.texts.push(row.text)
    raw.paths.push(row.labels.map((path) => table.add(path, row)))
    if (raw.texts.length % 10_000 === 0)
      onProgress?.({
        step,
        done: raw.texts.length,
        unit: 'rows',
        ...(data.count === undefined ? {} : { total: data.count }),
      })
  }
  onProgress?.({ step, done: raw.texts.length, total: raw.texts.length, unit: 'rows' })
  return raw
}

/** The tree, and per path of the table the id it means (undefined: not in the tree, to be skipped). */
async function treeOf(
  table: PathTable,
  trainPaths: number,
  options: TrainingDataOptions,
): Promise<{ tree: LabelTree; ids: (number | undefined)[] }> {
  const { labels, unknownLabels = 'error' } = options
  const given = typeof labels === 'string' ? await readLabelTree(labels) : labels
  const own = table.paths.slice(0, trainPaths).map(({ path }) => path)
  let tree = given ?? LabelTree.fromPaths(own)
  if (given && unknownLabels === 'add')
    tree = extendTree(
      given,
      own.filter((path) => path.length > 1 || !isName(given, path)),
    )
  const ids = table.paths.map(({ path, file, line }, index) => {
    try {
      return tree.resolve(path, { file, line })
    } catch (error) {
      // A dev row's label that no training row has can't be predicted; without a given tree that is no fault of the data.
      const skip = unknownLabels === 'skip' || (unknownLabels === 'add' && index >= trainPaths)
      if (skip && EspalierError.is(error) && error.code === 'LABEL_UNKNOWN') return undefined
      throw error
    }
  })
  return { tree, ids }
}

/** True if the path is one name that occurs in the tree, wherever. */
function isName(tree: LabelTree, path: readonly string[]): boolean {
  try {
    tree.resolve(path)
    return true
  } catch (error) {
    return EspalierError.is(error) && error.code === 'LABEL_AMBIGUOUS'
  }
}

function resolve(
  raw: RawRows,
  ids: readonly (number | undefined)[],
  tree: LabelTree,
): LabelledTexts & { unknown: number } {
  const texts: string[] = []
  const labels: number[][] = []
  let unknown = 0
  for (const [row, paths] of raw.paths.entries()) {
    const known = paths.flatMap((path) => ids[path] ?? [])
    if (known.length === 0 && paths.length > 0) {
      unknown++
      continue
    }
    texts.push(raw.texts[row]!)
    labels.push(known.length > 1 ? tree.ends(known) : known)
  }
  return { texts, labels, unknown }
}
