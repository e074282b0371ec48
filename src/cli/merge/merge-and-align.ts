/** `merge --align`: a merge whose heads are fitted with few rows of each task before it gets its name. */
import { rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError } from '../../util/errors.ts'
import { alignmentLines, taskDatasets } from '../align-data.ts'
import { checkReportFile, writeAlignReport } from '../align-report.ts'
import { typedCommand } from '../command-name.ts'
import type { Session } from '../session.ts'
import { given, type MergeFlags, requiredOut } from './merge-flags.ts'
import { resultDocument, resultLines, resumable, runOptionsOf } from './merge-recipe.ts'

export async function mergeAndAlign(
  file: string,
  out: string | undefined,
  rows: string,
  flags: MergeFlags,
  session: Session,
): Promise<void> {
  checkReportFile(flags.report)
  const folder = requiredOut(out, 'espalier merge RECIPE.yml OUT --align DIR')
  const [{ mergeRecipe }, { align }, { ftClassifier }, { checkOutputFolder }] = await Promise.all([
    import('../../merge/merge.ts'),
    import('../../align/align.ts'),
    import('../../align/methods/index.ts'),
    import('../../util/atomic.ts'),
  ])
  await checkOutputFolder(folder, flags.force)
  if (!(await stat(rows).catch(() => undefined))?.isDirectory())
    throw new InputError('ENOENT', 'The folder of rows is not there', {
      where: { file: rows },
      help: 'give a folder with a file for each task, such as few/trec.jsonl',
    })
  const unaligned = join(dirname(resolve(folder)), `.${basename(resolve(folder))}.unaligned`)
  const options = { ...runOptionsOf(flags, session), record: { command: typedCommand() } }
  const result = await mergeRecipe(file, unaligned, { ...options, force: true }).catch((error: unknown) => {
    throw resumable(error)
  })
  try {
    const data = await taskDatasets(unaligned, rows, {}, session)
    const { seed, threads, force, shots } = flags
    const aligned = await align(unaligned, data, {
      ...session.run,
      method: ftClassifier(given({ shots })),
      out: folder,
      command: typedCommand(),
      ...given({ seed, threads, force }),
    })
    if (flags.report !== undefined)
      await writeAlignReport(flags.report, aligned, result.plan, { 'the merge': result.seconds }, session)
    const { tasks } = aligned
    session.settle()
    const shown = { ...result, folder }
    if (session.json) await session.printJson({ ...resultDocument(shown), align: tasks })
    else await session.print(...resultLines(shown, session), '', ...alignmentLines(tasks, session))
  } finally {
    await rm(unaligned, { recursive: true, force: true })
  }
}
