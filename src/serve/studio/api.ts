/** What the studio's page and its server say to each other: the JSON of every route. The page imports these types and nothing else of the package. */
import type { PageData } from '../../evaluate/report-page/page-data.ts'
import type { TrainLogEntry } from '../../train/train-log.ts'
import type { Place } from '../../util/errors.ts'

/**
 * model: a trained classifier. merge: a merged checkpoint. training: the work folder of a run that is not finished. evaluation: a report in JSON.
 * checkpoint: a model that was not made by this package. broken: it looks like one of these and cannot be read.
 */
export type RunKind = 'model' | 'merge' | 'training' | 'evaluation' | 'checkpoint' | 'broken'

export interface Fault {
  code: string
  message: string
  where?: Place
  help?: string
}

/** The headline figures of an evaluation. */
export interface Score {
  exactPath: number
  macroF1: number
  rows: number
  data: string
}

export interface RunSummary {
  /** The path below the studio's folder, `.` for the folder itself. */
  id: string
  kind: RunKind
  /** ISO 8601. */
  modified: string
  bytes: number
  encoder?: string
  method?: string
  parameters?: number
  trainRows?: number
  labels?: { count: number; levels: number }
  seed?: number
  score?: Score
  /** Of a training: written to within the last two minutes. */
  live?: boolean
  last?: TrainLogEntry
  fault?: Fault
}

export interface RunList {
  folder: string
  version: string
  runs: RunSummary[]
  /** Folders that were not looked into, because there are too many or they lie too deep. */
  skipped: number
}

export interface EvaluationEntry {
  id: string
  score: Score
  created: string
  /** Kept by the studio, or a report file in the folder. */
  from: 'studio' | 'file'
}

export interface DataFile {
  /** As the run recorded it. */
  file: string
  /** It lies where it can be read, and its bytes are those that the run recorded. */
  found: boolean
  why?: string
}

export interface RunDetail {
  run: RunSummary
  /** espalier.json as it stands. */
  record: Record<string, unknown>
  evaluations: EvaluationEntry[]
  /** What it was trained on. */
  data: DataFile[]
  /** Data files in the studio's folder, to evaluate on. */
  offered: string[]
  hasLog: boolean
  /** It can answer texts. */
  answers: boolean
  /** Why it cannot. */
  answersNot?: string
  /** Heads of a merged model, one per task; empty if the model has its own. */
  heads: string[]
  specialists: { label: string; key: string; folder: string; base: boolean; found: boolean }[]
}

export interface EvaluationDocument {
  id: string
  title: string
  created: string
  command: string
  model: Record<string, string | number>
  data: { name: string; rows: number }
  facts: [name: string, value: string][]
  /** Named figures, in the order in which they are shown. */
  figures: Figure[]
  levels: { level: number; accuracy: number; microF1: number; macroF1: number; support: number }[]
  page: PageData
  /** All rows of the data are in `page.rows`. */
  complete: boolean
}

export interface Figure {
  name: string
  value: number
  /** Less is better. */
  less?: boolean
}

/** One choice on the way down the tree. */
export interface LevelChoice {
  level: number
  options: { id: number; name: string; probability: number; chosen: boolean }[]
  /** Labels that are not listed, and their probability together. */
  others: { count: number; probability: number }
}

export interface Answer {
  text: string
  multiLabel: boolean
  paths: { ids: number[]; path: string[]; confidence: number[] }[]
  levels: LevelChoice[]
  top: { id: number; path: string[]; probability: number }[]
  seconds: number
}

/** What speaks for a label in a text. */
export interface Attribution {
  method: string
  target: { id: number; path: string[] }
  probability: number
  /** What is explained, its value, and the value that the parts start from. */
  score: { kind: string; value: number; base?: number }
  /** In UTF-16 units of the text; what each part adds to the score. */
  tokens: { text: string; start: number; end: number; value: number }[]
  truncated: boolean
}

export interface Neighbour {
  row: number
  text: string
  paths: string[][]
  similarity: number
}

export interface Neighbours {
  rows: Neighbour[]
  /** How rows were compared. */
  measure: string
  searched: number
  total: number
  file: string
}

export interface SpecialistEffects {
  label: string
  rival: string
  /** Logit of the answer minus that of the rival, in the merged model. */
  margin: number
  /** Without one specialist: its effect is `margin` minus this. */
  effects: { specialist: string; margin: number; answer: string }[]
  seconds: number
}

/** How the models of a merge agree, layer by layer. */
export interface MergeMap {
  models: string[]
  layers: { name: string; parameters: number }[]
  measures: {
    key: string
    name: string
    /** One sentence. */
    meaning: string
    /** Ends of the colour scale; it diverges from 0 if `least` is negative. */
    least: number
    most: number
    /** layers x models; null where a model has nothing there. */
    values: (number | null)[][]
  }[]
  /** Figures of each task before and after merging, where they were recorded. */
  tasks: { task: string; figure: string; values: { when: string; value: number }[] }[]
  seconds: number
}

/** A line of a streamed job. */
export type JobLine<Result> =
  | { type: 'progress'; step: string; done: number; total?: number; unit?: string; note?: string }
  | { type: 'done'; result: Result }
  | { type: 'failed'; fault: Fault }
