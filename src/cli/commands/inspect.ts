/** `espalier inspect`: says what a path holds (a classifier, a checkpoint, an adapter, a data file, a label tree) and describes it. */
import { readdir, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { InputError } from '../../util/errors.ts'
import { addDataOptions, type DataFlags, readOptionsOf } from '../data-options.ts'
import { examples } from '../examples.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('PATH [--json]')
    .argument(
      '<PATH>',
      "a trained classifier's folder, a checkpoint or LoRA adapter (folder, .safetensors, hf:ORG/NAME), a data file, or labels.json",
    )
  addDataOptions(command)
    .addHelpText(
      'after',
      examples([
        'espalier inspect model',
        'espalier inspect tickets.csv --labels-column area,topic',
        'espalier inspect labels.json',
      ]),
    )
    .action((path: string, flags: DataFlags) => runInspect(path, flags, session))
}

type Kind = 'classifier' | 'tasks' | 'checkpoint' | 'data' | 'labels'

async function runInspect(path: string, flags: DataFlags, session: Session): Promise<void> {
  switch (await kindOf(path, flags)) {
    case 'classifier': {
      const { inspectClassifier } = await import('../inspect/classifier.ts')
      return inspectClassifier(path, session)
    }
    case 'tasks': {
      const { inspectTasks } = await import('../inspect/tasks.ts')
      return inspectTasks(path, session)
    }
    case 'checkpoint': {
      const { inspectCheckpoint } = await import('../inspect/checkpoint.ts')
      return inspectCheckpoint(path, session)
    }
    case 'labels': {
      const { inspectLabels } = await import('../inspect/labels.ts')
      return inspectLabels(path, session)
    }
    case 'data': {
      const { inspectData } = await import('../inspect/data.ts')
      return inspectData(path, readOptionsOf(flags), session)
    }
  }
}

async function kindOf(path: string, flags: DataFlags): Promise<Kind> {
  if (path.startsWith('hf:') || /\.safetensors(\.index\.json)?$/.test(path)) return 'checkpoint'
  if (path === '-' || flags.format !== undefined) return 'data'
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) return kindOfFolder(path)
  if (!/\.json$/i.test(path)) return 'data'
  return (await isDataJson(path)) ? 'data' : 'labels'
}

async function kindOfFolder(folder: string): Promise<Kind> {
  const names = await readdir(folder)
  if (names.includes('classifier.json')) return 'classifier'
  if (names.includes('heads') && names.includes('config.json')) return 'tasks'
  if (names.some((name) => /^(adapter_)?config\.json$|\.(safetensors|bin)$/.test(name))) return 'checkpoint'
  const { findSplits } = await import('../../data/sources.ts')
  const { labels, ...splits } = await findSplits(folder)
  const parts = Object.values(splits)
  if (parts.length > 1 || (parts.length === 0 && labels !== undefined)) {
    const files = [...parts, ...(labels === undefined ? [] : [labels])]
    throw new InputError('INSPECT_WHICH', 'The folder is a data set of several files', {
      where: { file: folder },
      help: `inspect one of them: ${files.join(', ')}`,
    })
  }
  return 'data'
}

/** A list of objects with a text is data; other JSON is read as a label tree. */
async function isDataJson(file: string): Promise<boolean> {
  const { readJson } = await import('../../util/json.ts')
  const value = await readJson(file)
  return Array.isArray(value) && typeof value[0] === 'object' && value[0] !== null && !Array.isArray(value[0])
}
