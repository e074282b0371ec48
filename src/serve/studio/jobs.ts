/** What the studio's thread can do, by name. */
import { evaluate } from '../../classify/evaluate.ts'
import { readDataset } from '../../data/dataset.ts'
import type { ReadOptions } from '../../data/row.ts'
import type { Report } from '../../evaluate/report.ts'
import type { RunOptions } from '../../util/progress.ts'
import { answerText } from './answer-text.ts'
import { attributeText } from './attribute-text.ts'
import { mergeMap } from './merge-map.ts'
import { nearestRows } from './nearest-rows.ts'
import { openModel } from './open-models.ts'
import { specialistEffects } from './specialist-effects.ts'

/** Rows that an evaluation keeps: all of them, up to this many. */
const mostRows = 20_000

export interface EvaluateJob {
  folder: string
  /** A head of a merged model. */
  head?: string
  file: string
  read: ReadOptions
  command: string
}

/** Measures a model on a file and keeps every row. */
async function evaluateFile({ folder, head, file, read, command }: EvaluateJob, options: RunOptions): Promise<Report> {
  const data = await readDataset(file, { ...read, ...options, requireLabels: true })
  const model = await openModel(folder, head, options)
  return evaluate(model, data, {
    ...options,
    command,
    unknownLabels: 'skip',
    keepRows: { sample: mostRows, total: mostRows },
  })
}

export const jobs = {
  evaluate: evaluateFile,
  answer: answerText,
  attribute: attributeText,
  neighbours: nearestRows,
  specialists: specialistEffects,
  mergeMap,
}

export type Jobs = typeof jobs
export type JobName = keyof Jobs
