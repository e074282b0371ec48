/** The Report noun: what was measured, on what, from which inputs, and how to do it again. It is plain JSON; `renderReport` makes it a readable page. */
import type { LabelTreeJson } from '../labels/label-tree.ts'
import type { Metrics } from './metrics.ts'

/** A file that went in. */
export interface ReportInput {
  /** What it was used for: "train", "dev", "test", "labels", "model". */
  role: string
  path: string
  sha256: string
  bytes?: number
  rows?: number
}

/** Values measured along a run. Curves of one `quantity` share a chart. */
export interface Curve {
  /** "train", "dev". */
  name: string
  /** What is measured, as the axis says it: "loss (nats)", "path accuracy". */
  quantity: string
  /** What x counts: "step", "epoch". */
  xUnit: string
  /** [x, value], x ascending. */
  points: [number, number][]
}

/** One row of the evaluated data, kept to look at. */
export interface ReportRow {
  /** Place in the data, from 1. */
  row: number
  text: string
  /** Ids of the ends of the gold paths; ids count `metrics.perLabel`. */
  gold: number[]
  /** All predicted ids, ancestors included. */
  predicted: number[]
  /** Their probabilities. */
  probabilities?: number[]
  /** Next best ends of paths, best first, with probabilities. */
  alternatives?: [id: number, probability: number][]
}

export interface Report {
  format: 'espalier-report/1'
  title: string
  /** ISO 8601. */
  created: string
  /** Name and value of what describes the model: method, encoder, parameters, size. */
  model: Record<string, string | number>
  data: { name: string; split?: string; rows: number }
  /** The command that made it, as typed. */
  command: string
  inputs: ReportInput[]
  options: Record<string, unknown>
  seeds: Record<string, number>
  /** espalier, node, onnxruntime. */
  versions: Record<string, string>
  /** Processor, cores, memory. */
  machine?: string
  /** Seconds by step. */
  seconds: Record<string, number>
  tree: LabelTreeJson
  metrics: Metrics
  curves: Curve[]
  /** Chosen by `pickReportRows`: errors first. */
  rows: ReportRow[]
}

export { renderReport } from './report-page/render-report.ts'
