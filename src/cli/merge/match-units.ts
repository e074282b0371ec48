/** `merge --match`: an encoder with its units in another one's order; with --plan, what that would do. */
import type { PermutePlan } from '../../merge/permute/matchable.ts'
import { formatBytes, formatNumber, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { wrap } from '../text-width.ts'
import { given, type MergeFlags, requiredOut } from './merge-flags.ts'

export async function matchUnits(
  folder: string,
  reference: string,
  out: string | undefined,
  { force, plan }: MergeFlags,
  session: Session,
): Promise<void> {
  const { permuteToMatch, planPermute } = await import('../../merge/merge.ts')
  if (plan) return showPlan(folder, reference, await planPermute(folder, { ...session.run, reference }), session)
  const target = requiredOut(out, 'espalier merge MODEL OUT --match REFERENCE')
  const result = await permuteToMatch(folder, { ...session.run, ...given({ force }), reference, out: target })
  session.settle()
  if (session.json) return session.printJson(result)
  await session.print(
    ...facts(
      [
        ['matched', `${formatNumber(result.moved)} of ${plural(result.units, 'unit')} moved`],
        ['likeness', `cosine of the weights ${result.before.toFixed(3)} before, ${result.after.toFixed(3)} after`],
        ['model', result.folder],
        ['next', `espalier merge RECIPE.yml OUT, with ${reference} and ${result.folder}`],
      ],
      (label) => session.stdout.paint('dim', label),
    ),
  )
}

async function showPlan(folder: string, reference: string, plan: PermutePlan, session: Session): Promise<void> {
  session.settle()
  if (session.json) return session.printJson(plan)
  const room = session.stdout.columns - 12
  const { groups, units, tensors, readBytes, writeBytes, heldBytes } = plan
  await session.print(
    ...facts(
      [
        ['encoders', wrap(`${folder}, in the order of ${reference}`, room)],
        ['units', wrap(`${plural(units, 'unit')} in ${plural(Object.keys(groups).length, 'group')}`, room)],
        ['output', `${plural(tensors, 'tensor')}, ${formatBytes(writeBytes)}`],
        [
          'cost',
          wrap(
            `reads ${formatBytes(readBytes)}, writes ${formatBytes(writeBytes)}, holds both encoders: ${formatBytes(heldBytes)} in double precision`,
            room,
          ),
        ],
      ],
      (label) => session.stdout.paint('dim', label),
    ),
  )
}
