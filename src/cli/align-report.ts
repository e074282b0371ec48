/** `--report` of `align` and `merge --align`: the page of each task before and after, with the map of how the merged models agree. */
import { dirname } from 'node:path'
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

/** The plan of the merge that made a folder, if its record names the recipe and its models are still there. */
export async function planOfMerge(folder: string, session: Session): Promise<MergePlan | undefined> {
  const record = (await readJson(`${folder}/${recordFile}`).catch(() => ({}))) as Record<string, unknown>
  const [{ mergeSources, recipeOf }, { planRecipe }] = await Promise.all([
    import('../serve/studio/merge-record.ts'),
    import('../merge/merge.ts'),
  ])
  try {
    const sources = await mergeSources(record, [process.cwd(), dirname(folder)])
    return await planRecipe(recipeOf(record, sources), { signal: session.run.signal })
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    session.run.onProgress({ step: 'report', done: 0, note: `no map of the layers: ${error.message}` })
    return undefined
  }
}
