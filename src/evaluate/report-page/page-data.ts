/** What a report page carries for its script: counts instead of scores, ids instead of paths, so that large trees stay small. */
import { parseLabelTree } from '../../labels/read-label-tree.ts'
import type { ReliabilityBin } from '../calibration.ts'
import type { Curve, Report, ReportRow } from '../report.ts'

export interface PageData {
  names: string[]
  /** Readable names by id, where they differ from the names. */
  titles: Record<number, string>
  descriptions: Record<number, string>
  parents: (readonly number[])[]
  support: number[]
  predicted: number[]
  /** Rows in which a label is both gold and predicted. */
  right: number[]
  rows: ReportRow[]
  /** Sibling pairs, most confused first: a, b, rows of a taken for b, rows of b taken for a. */
  confusions: [a: number, b: number, aAsB: number, bAsA: number][]
  curves: Curve[]
  reliability: ReliabilityBin[]
}

export function pageData(report: Report): PageData {
  const tree = parseLabelTree(report.tree)
  const { perLabel, confusions, reliability = [] } = report.metrics
  const texts = (field: 'title' | 'description'): Record<number, string> =>
    Object.fromEntries(tree.nodes.flatMap((node) => (node[field] === undefined ? [] : [[node.id, node[field]]])))
  return {
    names: tree.nodes.map((node) => node.name),
    titles: texts('title'),
    descriptions: texts('description'),
    parents: tree.nodes.map((node) => node.parents),
    support: perLabel.map((label) => label.support),
    predicted: perLabel.map((label) => label.predicted),
    right: perLabel.map((label) => Math.round(label.recall * label.support)),
    rows: report.rows.map(shorten),
    confusions: confusions.map(({ a, b, aAsB, bAsA }) => [tree.find(a)!, tree.find(b)!, aAsB, bAsA]),
    curves: report.curves.map((curve) => ({ ...curve, points: thin(curve.points) })),
    reliability,
  }
}

/** Probabilities to six places, which is more than the page shows. */
function shorten(row: ReportRow): ReportRow {
  const round = (value: number): number => Math.round(value * 1e6) / 1e6
  const { probabilities, alternatives, ...rest } = row
  return {
    ...rest,
    ...(probabilities === undefined ? {} : { probabilities: probabilities.map(round) }),
    ...(alternatives === undefined ? {} : { alternatives: alternatives.map(([id, p]) => [id, round(p)]) }),
  }
}

/** Of many points, as many as a chart can show, evenly taken; the last one stays. */
function thin(points: Curve['points'], most = 800): Curve['points'] {
  if (points.length <= most) return points
  return Array.from({ length: most }, (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))]!)
}
