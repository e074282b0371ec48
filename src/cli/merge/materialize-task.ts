/** `merge --task`: one task's checkpoint from a folder that a method with per-task outputs merged. */
import { InputError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { formatBytes, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { given, type MergeFlags, requiredOut } from './merge-flags.ts'

export async function materialize(
  folder: string,
  task: string,
  out: string | undefined,
  { base, force, plan }: MergeFlags,
  session: Session,
): Promise<void> {
  if (plan)
    throw new InputError('USAGE', '--plan belongs to a recipe, not to --task', { help: 'leave one of them out' })
  const target = requiredOut(out, 'espalier merge MERGED OUT --task NAME')
  const { materializeTask } = await import('../../merge/merge.ts')
  const result = await materializeTask(folder, task, target, {
    ...session.run,
    ...given({ base, force }),
    command: typedCommand(),
  })
  session.settle()
  if (session.json) await session.printJson(result)
  else
    await session.print(
      ...facts(
        [
          ['task', `${result.task.name} · ${plural(result.tensors, 'tensor')}, ${formatBytes(result.bytes)}`],
          ['model', result.folder],
          ['next', `espalier inspect ${result.folder}`],
        ],
        (label) => session.stdout.paint('dim', label),
      ),
    )
}
