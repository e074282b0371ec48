/** Describes a trained classifier from its files, without loading its weights: tree, method, rows, metrics. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readClassifierFiles } from '../../classify/classifier.ts'
import { recordFile } from '../../util/atomic.ts'
import { readJson } from '../../util/json.ts'
import { drawTree } from '../draw-tree.ts'
import { folderSize } from '../folder-size.ts'
import { formatBytes } from '../format.ts'
import { type ModelRecord, modelEntries } from '../model-entries.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { treeEntries, treeFacts } from './labels.ts'

export async function inspectClassifier(folder: string, session: Session): Promise<void> {
  const { tree, settings } = await readClassifierFiles(folder)
  const file = join(folder, recordFile)
  const record = (existsSync(file) ? await readJson(file) : {}) as ModelRecord
  const bytes = await folderSize(folder)
  session.settle()
  if (session.json) {
    const { method, multiLabel, temperature, minConfidence } = settings
    const facts = { kind: 'classifier', path: folder, bytes, method, multiLabel, temperature, minConfidence }
    return session.printJson({ ...facts, tree: treeFacts(tree), record })
  }
  const { paint, columns } = session.stdout
  const { command, espalier: version } = record
  await session.print(
    ...facts(
      [
        ['classifier', `${folder}  ${formatBytes(bytes)}`],
        ...modelEntries(settings, record),
        ...(command === undefined ? [] : [['made by', `${command} (version ${version})`] as const]),
        ...treeEntries(tree, columns),
      ],
      (name) => paint('dim', name),
      columns,
    ),
    '',
    ...drawTree(tree, { columns, paint }),
  )
}
