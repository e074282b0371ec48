/** Describes a multi-task model: its encoder, and for each task the labels of its head. */
import { join } from 'node:path'
import { readConfig } from '../../checkpoint/checkpoint.ts'
import { inspectPath } from '../../checkpoint/inspect.ts'
import { readClassifierFiles } from '../../classify/classifier.ts'
import { taskNames } from '../../classify/load-tasks.ts'
import { plainCheckpoint } from '../../classify/plain-checkpoint.ts'
import { recordFile } from '../../util/atomic.ts'
import { readJson } from '../../util/json.ts'
import { formatBytes, formatCount } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { treeFacts, treeSummary } from './labels.ts'

export async function inspectTasks(folder: string, session: Session): Promise<void> {
  const encoder = await inspectPath(folder, session.run)
  const config = await readConfig(folder)
  const tasks = await Promise.all(
    (await taskNames(folder)).map(async (name) => {
      const target = join(folder, 'heads', name)
      const file = join(target, 'head.json')
      const head = { ...config, ...((await readJson(file)) as object) } as Record<string, unknown>
      const files = await readClassifierFiles(target).catch(() => plainCheckpoint(head, file))
      return { name, from: head['model'], ...files }
    }),
  )
  const record = (await readJson(join(folder, recordFile)).catch(() => undefined)) as
    | { verb?: string; method?: string | { name: string } }
    | undefined
  const method = typeof record?.method === 'object' ? record.method.name : record?.method
  session.settle()
  if (session.json)
    return session.printJson({
      kind: 'tasks',
      path: folder,
      encoder,
      tasks: tasks.map(({ name, from, tree, settings }) => ({
        name,
        from,
        outputs: settings.layout.unitNodes.length,
        multiLabel: settings.multiLabel,
        temperature: settings.temperature,
        tree: treeFacts(tree),
      })),
      record,
    })
  const { paint, columns } = session.stdout
  const { model, parameters, bytes } = encoder
  await session.print(
    ...facts(
      [
        ['multi-task', `${folder}  ${formatBytes(bytes)}, ${formatCount(parameters)} parameters in the encoder`],
        ['encoder', [model?.modelType, model?.layers && `${model.layers} layers`].filter(Boolean).join(' · ')],
        ...(record?.verb === undefined ? [] : [['made by', `${record.verb}${method ? ` (${method})` : ''}`] as const]),
        ['tasks', tasks.map(({ name, tree }) => `${name}: ${treeSummary(tree)}`)],
        ['next', `espalier predict ${folder} TEXT --task ${tasks[0]!.name}`],
      ],
      (name) => paint('dim', name),
      columns,
    ),
  )
}
