/** The plain merge: a recipe in, a checkpoint's folder out; with --plan, what that would do, and with --report how models agree. */
import type { MergeResult, MergeRunOptions } from '../../merge/merge.ts'
import type { MergePlan } from '../../merge/plan/merge-plan.ts'
import type { MergeReport } from '../../merge/report/merge-report.ts'
import { writeFileAtomic } from '../../util/atomic.ts'
import { InputError, InterruptedError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { formatBytes, formatSeconds, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { given, type MergeFlags, requiredOut } from './merge-flags.ts'
import { conflictLines, planDocument, planLines } from './plan-lines.ts'

/** What the engine takes of the flags. */
export function runOptionsOf(flags: MergeFlags, session: Session): MergeRunOptions {
  const { seed, threads, maxMemory, maxShardSize: maxShardBytes, resume, force, strictMergekit } = flags
  return { ...session.run, ...given({ seed, threads, maxMemory, maxShardBytes, resume, force, strictMergekit }) }
}

export async function mergeByFile(
  file: string,
  out: string | undefined,
  flags: MergeFlags,
  session: Session,
): Promise<void> {
  const recipe = await (await import('../../merge/recipe/read-recipe.ts')).readRecipe(file)
  const { isAdapterRecipe } = await import('../../merge/adapters/adapter-recipe.ts')
  if (await isAdapterRecipe(recipe))
    return (await import('./merge-adapters.ts')).mergeAdaptersByRecipe(recipe, out, flags, session)
  if (flags.plan) return showPlan(file, flags, session)
  if (flags.report !== undefined)
    throw new InputError('USAGE', '--report goes with --plan', { help: 'add --plan: the page is made before merging' })
  const folder = requiredOut(out, 'espalier merge RECIPE.yml OUT, or pass --plan')
  const { mergeRecipe } = await import('../../merge/merge.ts')
  try {
    const result = await mergeRecipe(file, folder, {
      ...runOptionsOf(flags, session),
      record: { command: typedCommand() },
    })
    session.settle()
    if (session.json) await session.printJson(resultDocument(result))
    else await session.print(...resultLines(result, session))
  } catch (error) {
    throw resumable(error)
  }
}

/** An interrupted merge says how it goes on. */
export const resumable = (error: unknown): unknown =>
  error instanceof InterruptedError ? new InterruptedError(undefined, { help: 'continue with --resume' }) : error

/** Prints a recipe's plan; `more` is what another kind of merge adds to it. */
export async function showPlan(
  file: string,
  flags: MergeFlags,
  session: Session,
  more: { document: Record<string, unknown>; lines: readonly string[] } = { document: {}, lines: [] },
): Promise<void> {
  const { planRecipe } = await import('../../merge/merge.ts')
  const plan = await planRecipe(file, runOptionsOf(flags, session))
  const report = flags.report === undefined ? undefined : await reportOn(plan, flags.report, session)
  session.settle()
  if (session.json) await session.printJson({ ...planDocument(plan), ...more.document, ...(report ? { report } : {}) })
  else {
    const agreement = report ? [`agreement   ${flags.report}`] : []
    await session.print(...planLines(file, plan, session), ...more.lines, ...agreement)
  }
  if (plan.conflicts.some(({ severity }) => severity === 'error')) process.exitCode = 2
}

/** Compares the models, and writes the page. */
async function reportOn(plan: MergePlan, file: string, session: Session): Promise<MergeReport> {
  const { mergeReport } = await import('../../merge/report/merge-report.ts')
  const { renderMergeReport } = await import('../../merge/report/render-merge-report.ts')
  const report = await mergeReport(plan, session.run)
  await writeFileAtomic(file, renderMergeReport(report))
  return report
}

export function resultDocument({ folder, bytes, resumed, seconds, plan }: MergeResult): Record<string, unknown> {
  const { inputs, weights, conflicts, readBytes, threads } = plan
  return {
    folder,
    bytes,
    resumedTensors: resumed,
    seconds,
    tensors: plan.tensors.length,
    inputs,
    weights,
    conflicts,
    readBytes,
    threads,
  }
}

export function resultLines({ folder, bytes, resumed, seconds, plan }: MergeResult, session: Session): string[] {
  const { paint, columns } = session.stdout
  const remarks = plan.conflicts.flatMap((conflict) => conflictLines(conflict, session, columns - 12))
  const entries: [string, string | string[]][] = [
    [
      'merged',
      `${plural(plan.tensors.length, 'tensor')}, ${formatBytes(bytes)}, in ${formatSeconds(seconds)}${resumed > 0 ? ` (${resumed} from an earlier run)` : ''}`,
    ],
    ...(plan.heads.length > 0
      ? [['heads', `${plan.heads.length} kept under ${folder}/heads`] as [string, string]]
      : []),
    ...(remarks.length > 0 ? [['remarks', remarks] as [string, string[]]] : []),
    ['model', folder],
    ['next', `espalier inspect ${folder}`],
  ]
  return facts(entries, (label) => paint('dim', label))
}
