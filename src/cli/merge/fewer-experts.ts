/** `merge --experts`: a mixture of experts with fewer of them; with --plan, what that would do. */
import type { ExpertMethod, RouterStatistics } from '../../merge/experts/expert-method.ts'
import type { ExpertsPlan } from '../../merge/experts/plan-experts.ts'
import { readJson } from '../../util/json.ts'
import { formatBytes, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { wrap } from '../text-width.ts'
import { given, type MergeFlags, requiredOut } from './merge-flags.ts'

export async function fewerExperts(
  folder: string,
  experts: number,
  out: string | undefined,
  flags: MergeFlags,
  session: Session,
): Promise<void> {
  const { mergeExperts, planMergeExperts } = await import('../../merge/merge.ts')
  const { expertMethods, findMethod } = await import('../methods.ts')
  const { parseMethodOptions } = await import('../method-options.ts')
  const factory = findMethod(await expertMethods(), (flags.method ?? 'm-smoe').replaceAll('_', '-'))
  const method = factory(parseMethodOptions(factory.info.name, factory.schema, flags.methodOption ?? []))
  const statistics =
    flags.statistics === undefined ? undefined : ((await readJson(flags.statistics)) as RouterStatistics[])
  const options = { ...session.run, ...given({ statistics }), experts }
  if (flags.plan) return showPlan(folder, method, await planMergeExperts(folder, options), session)
  const target = requiredOut(out, 'espalier merge MODEL OUT --experts N')
  const result = await mergeExperts(folder, { ...options, ...given({ force: flags.force }), method, out: target })
  session.settle()
  if (session.json) return session.printJson(result)
  const room = session.stdout.columns - 12
  await session.print(
    ...facts(
      [
        [
          'merged',
          `${plural(result.groups.length, 'layer')}, ${formatBytes(result.bytesBefore)} to ${formatBytes(result.bytes)}`,
        ],
        [
          'groups',
          result.groups.flatMap(({ layer, groupOf, cores }) =>
            wrap(
              `${layer}: ${cores.map((_, g) => groupOf.flatMap((group, e) => (group === g ? [e] : [])).join('+')).join('  ')}`,
              room,
            ),
          ),
        ],
        ['model', result.folder],
        ['next', `espalier inspect ${result.folder}`],
      ],
      (label) => session.stdout.paint('dim', label),
    ),
  )
}

async function showPlan(folder: string, method: ExpertMethod, plan: ExpertsPlan, session: Session): Promise<void> {
  session.settle()
  const { layers, experts, readBytes, writeBytes, layerBytes } = plan
  if (session.json) return session.printJson({ method: method.name, options: method.options, ...plan })
  const options = Object.entries(method.options).map(([key, value]) => `${key} ${String(value)}`)
  const room = session.stdout.columns - 12
  await session.print(
    ...facts(
      [
        ['model', wrap(`${folder} · ${plural(layers.length, 'layer')} with experts`, room)],
        ['method', wrap(`${method.name} (${options.join(', ')})`, room)],
        ['experts', `${experts.before} to ${experts.after} in each layer; a token goes to ${experts.perToken}`],
        [
          'cost',
          wrap(
            `reads ${formatBytes(readBytes)}, writes ${formatBytes(writeBytes)}, holds a layer at a time: ${formatBytes(layerBytes)} in double precision, a few times`,
            room,
          ),
        ],
      ],
      (label) => session.stdout.paint('dim', label),
    ),
  )
}
