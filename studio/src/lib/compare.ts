/** Two evaluations side by side: figures, labels, and the rows of the same data in which they differ. */

import type { ReportRow } from '../../../src/evaluate/report.ts'
import type { PageData } from '../../../src/evaluate/report-page/page-data.ts'
import type { EvaluationDocument } from '../../../src/serve/studio/api.ts'
import { mcnemar } from './mcnemar.ts'

export interface LabelPair {
  path: string
  support: number
  a: number
  b: number
  /** Ids in each evaluation. */
  idA: number
  idB: number
}

export interface RowPair {
  row: number
  text: string
  expected: string[]
  a: string[]
  b: string[]
}

export interface Comparison {
  figures: { name: string; a: number; b: number; less: boolean }[]
  labels: LabelPair[]
  /** Undefined where the rows are not the same, or not all kept. */
  rows?: { both: number; neither: number; onlyA: RowPair[]; onlyB: RowPair[]; p: number }
  /** Why rows are not compared. */
  why?: string
}

const f1 = (data: PageData, id: number): number => {
  const taken = data.support[id]! + data.predicted[id]!
  return taken === 0 ? 0 : (2 * data.right[id]!) / taken
}

const pathsOf = (data: PageData): string[] => {
  const paths: string[] = []
  for (const [id, name] of data.names.entries()) {
    const parent = data.parents[id]![0]
    paths.push(parent === undefined ? name : `${paths[parent]} › ${name}`)
  }
  return paths
}

/** Ids with all ancestors. */
function closed(data: PageData, ids: readonly number[]): Set<number> {
  const set = new Set<number>()
  const visit = (id: number): void => {
    if (set.has(id)) return
    set.add(id)
    for (const parent of data.parents[id]!) visit(parent)
  }
  for (const id of ids) visit(id)
  return set
}

function ends(data: PageData, paths: readonly string[], ids: readonly number[]): string[] {
  const covered = new Set(ids.flatMap((id) => [...closed(data, data.parents[id]!)]))
  return ids.filter((id) => !covered.has(id)).map((id) => paths[id]!)
}

const isRight = (data: PageData, row: ReportRow): boolean => {
  const gold = closed(data, row.gold)
  return gold.size === row.predicted.length && row.predicted.every((id) => gold.has(id))
}

export function compare(a: EvaluationDocument, b: EvaluationDocument): Comparison {
  const [pathsA, pathsB] = [pathsOf(a.page), pathsOf(b.page)]
  const idsB = new Map(pathsB.map((path, id) => [path, id]))
  const figures = a.figures.flatMap(({ name, value, less = false }) => {
    const other = b.figures.find((figure) => figure.name === name)
    return other ? [{ name, a: value, b: other.value, less }] : []
  })
  const labels = pathsA.flatMap((path, idA): LabelPair[] => {
    const idB = idsB.get(path)
    if (idB === undefined || a.page.support[idA]! + b.page.support[idB]! === 0) return []
    return [{ path, support: a.page.support[idA]!, a: f1(a.page, idA), b: f1(b.page, idB), idA, idB }]
  })
  const fail = (why: string): Comparison => ({ figures, labels, why })
  if (a.data.rows !== b.data.rows) return fail('They were measured on different data.')
  if (!a.complete || !b.complete)
    return fail('One of the reports does not hold all of its rows: measure both models here.')
  const rowsB = new Map(b.page.rows.map((row) => [row.row, row]))
  let both = 0
  let neither = 0
  const onlyA: RowPair[] = []
  const onlyB: RowPair[] = []
  for (const row of a.page.rows) {
    const other = rowsB.get(row.row)
    if (other?.text !== row.text) return fail('They were measured on different data.')
    const [rightA, rightB] = [isRight(a.page, row), isRight(b.page, other)]
    if (rightA && rightB) both++
    else if (!rightA && !rightB) neither++
    else
      (rightA ? onlyA : onlyB).push({
        row: row.row,
        text: row.text,
        expected: ends(a.page, pathsA, row.gold),
        a: ends(a.page, pathsA, row.predicted),
        b: ends(b.page, pathsB, other.predicted),
      })
  }
  return { figures, labels, rows: { both, neither, onlyA, onlyB, p: mcnemar(onlyA.length, onlyB.length) } }
}
