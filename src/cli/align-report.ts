/** `--report` of `align` and `merge --align`: the page of each task before and after, with the map of how the merged models agree. */
import { dirname, join } from 'node:path'
import type { AlignResult } from '../align/align.ts'
import type { MergePlan } from '../merge/plan/merge-plan.ts'
import { recordFile, writeFileAtomic } from '../util/atomic.ts'
import { InputError } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import type { Session } from './session.ts'

/** Refuses a page under another name before any work is done. */
export function checkReportFile(file: string | undefined): void {
  if (file === undefined || /\.html?$/i.test(file)) return
  throw new InputError('OPTION_VALUE', `--report ${file}: the name of a page must end with .html`, {
    where: { key: '--report' },
    help: `write --report ${file}.html`,
  })
}

/** Writes the page. `plan`: of the merge, where it is known. */
export async function writeAlignReport(
  file: string,
  result: AlignResult,
  plan: MergePlan | undefined,
  seconds: Readonly<Record<string, number>>,
  session: Session,
): Promise<void> {
  const { renderAlignReport } = await import('../align/report/render-align-report.ts')
  const parts = plan === undefined ? [] : [await mapOf(plan, session)]
  await writeFileAtomic(file, renderAlignReport(result, { seconds, parts }))
}

async function mapOf(plan: MergePlan, session: Session) {
  const { mergeReport } = await import('../merge/report/merge-report.ts')
  const { agreementPart } = await import('../merge/report/render-merge-report.ts')
  return agreementPart(await mergeReport(plan, session.run))
}

/** A plan of the models that were merged into a folder, if they are still where its record says; how they agree does not depend on the method. */
export async function planOfMerge(folder: string, session: Session): Promise<MergePlan | undefined> {
  const record = (await readJson(join(folder, recordFile)).catch(() => ({}))) as Record<string, unknown>
  const { mergeSources } = await import('../serve/studio/merge-record.ts')
  const { planMerge } = await import('../merge/merge.ts')
  const { linear } = await import('../merge/methods/linear.ts')
  const { taskArithmetic } = await import('../merge/methods/task-arithmetic.ts')
  const sources = await mergeSources(record, [process.cwd(), dirname(folder)])
  const base = sources.find((source) => source.base)
  const models = sources.filter((source) => !source.base).map((source) => source.folder)
  const method = base ? { base: base.folder, method: taskArithmetic() } : { method: linear() }
  try {
    return await planMerge(models, { signal: session.run.signal, ...method })
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    session.run.onProgress({ step: 'report', done: 0, note: `no map of the layers: ${error.message}` })
    return undefined
  }
}
