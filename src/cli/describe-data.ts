/** What a data set holds, counted in one pass: rows, labels, lengths of texts, texts that occur more than once. */
import { createHash } from 'node:crypto'
import type { Row } from '../data/row.ts'
import { LabelTree } from '../labels/label-tree.ts'

export interface DataDescription {
  rows: number
  /** Rows without any label, with several, and with a path that stops above a leaf. */
  unlabelled: number
  multiLabel: number
  partial: number
  /** Rows whose text occurred before, and those among them whose labels differ from the first time. */
  repeated: number
  contradictory: number
  /** Characters (UTF-16 code units) of texts. */
  characters: { least: number; median: number; p95: number; most: number }
  labels: LabelCount[]
  tree: LabelTree | undefined
  first: Pick<Row, 'text' | 'labels'>[]
}

export interface LabelCount {
  path: string[]
  /** Rows whose label ends exactly there. */
  rows: number
}

const keptRows = 3

/** Reads all rows. Memory grows by a few bytes for each row, not by its text. */
export async function describeData(rows: AsyncIterable<Row>): Promise<DataDescription> {
  const lengths: number[] = []
  const counts = new Map<string, LabelCount>()
  const labelsOfText = new Map<string, string>()
  const first: DataDescription['first'] = []
  let unlabelled = 0
  let multiLabel = 0
  let repeated = 0
  let contradictory = 0
  for await (const { text, labels } of rows) {
    if (lengths.length < keptRows) first.push({ text, labels })
    lengths.push(text.length)
    if (labels.length === 0) unlabelled++
    if (labels.length > 1) multiLabel++
    const keys = labels.map((path) => JSON.stringify(path)).sort()
    for (const key of keys) {
      const known = counts.get(key)
      if (known) known.rows++
      else counts.set(key, { path: JSON.parse(key) as string[], rows: 1 })
    }
    const digest = fingerprint(text)
    const all = fingerprint(keys.join())
    const before = labelsOfText.get(digest)
    if (before === undefined) labelsOfText.set(digest, all)
    else {
      repeated++
      if (before !== all) contradictory++
    }
  }
  lengths.sort((a, b) => a - b)
  const quantile = (share: number) => lengths[Math.min(lengths.length - 1, Math.floor(share * lengths.length))] ?? 0
  const labels = [...counts.values()].sort((a, b) => b.rows - a.rows)
  const tree = labels.length === 0 ? undefined : LabelTree.fromPaths(labels.map(({ path }) => path))
  const partial = tree ? labels.filter(({ path }) => tree.nodes[tree.find(path)!]!.children.length > 0) : []
  return {
    rows: lengths.length,
    unlabelled,
    multiLabel,
    partial: partial.reduce((sum, label) => sum + label.rows, 0),
    repeated,
    contradictory,
    characters: { least: quantile(0), median: quantile(0.5), p95: quantile(0.95), most: quantile(1) },
    labels,
    tree,
    first,
  }
}

const fingerprint = (text: string): string => createHash('sha1').update(text).digest('base64').slice(0, 16)
