/**
 * Heads kept one per task: each in `heads/NAME/` as safetensors, with the label names of its model and, of a trained classifier, its label tree and
 * settings. Where the heads were merged instead, tree and settings stay with the model if all models have the same tree.
 */
import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfig } from '../../checkpoint/checkpoint.ts'
import { writeSafetensors } from '../../checkpoint/write-safetensors.ts'
import { dtypes, tensorBytes } from '../../tensor/dtypes.ts'
import type { MergePlan } from '../plan/merge-plan.ts'
import { taskFolder } from '../tasks/forms.ts'
import { FilePool } from './file-pool.ts'

/** Keys of a config that belong to a head. */
const headKeys = ['id2label', 'label2id', 'num_labels', 'problem_type', 'architectures']

/** What a trained classifier has beside its checkpoint: the label tree, and how scores become answers. */
export const classifierFiles = ['labels.json', 'classifier.json']

async function hasClassifierFiles(folder: string): Promise<boolean> {
  for (const name of classifierFiles) if (!(await stat(join(folder, name)).catch(() => undefined))) return false
  return true
}

async function copyClassifierFiles(from: string, to: string): Promise<void> {
  for (const name of classifierFiles) await copyFile(join(from, name), join(to, name))
}

/** The classifier of a merge of one task's models: the first model's, if all have one label tree and one layout of outputs. */
async function writeSharedClassifier(folder: string, plan: MergePlan): Promise<void> {
  const models = plan.inputs.filter(({ base }) => !base)
  const folders = (models.length > 0 ? models : plan.inputs).map((input) => input.folder)
  for (const input of folders) if (!(await hasClassifierFiles(input))) return
  const states = await Promise.all(
    folders.map(async (input) => {
      const [tree, settings] = await Promise.all(classifierFiles.map((name) => readFile(join(input, name), 'utf8')))
      return `${tree}${JSON.stringify((JSON.parse(settings!) as { layout?: unknown }).layout)}`
    }),
  )
  if (states.every((state) => state === states[0])) await copyClassifierFiles(folders[0]!, folder)
}

export async function writeHeads(folder: string, plan: MergePlan): Promise<void> {
  if (plan.heads.length === 0) await writeSharedClassifier(folder, plan)
  const files = new FilePool()
  try {
    for (const { key, label, tensors } of plan.heads) {
      const target = join(folder, 'heads', taskFolder(key))
      await mkdir(target, { recursive: true })
      const entries = tensors.map(({ name, shape, source }) => {
        if (source.kind !== 'stored' || !dtypes[source.dtype]) throw new TypeError('A kept head is stored')
        const data = new Uint8Array(tensorBytes(source.dtype, shape)!)
        files.read(source.file, source.offset, data)
        return { name, dtype: source.dtype, shape: [...shape], data }
      })
      await writeSafetensors(join(target, 'head.safetensors'), entries)
      const input = plan.inputs.find((found) => found.key === key)!
      const config = await readConfig(input.folder)
      const kept = Object.fromEntries(headKeys.flatMap((name) => (name in config ? [[name, config[name]]] : [])))
      await writeFile(join(target, 'head.json'), `${JSON.stringify({ model: label, ...kept }, null, 2)}\n`)
      if (await hasClassifierFiles(input.folder)) await copyClassifierFiles(input.folder, target)
    }
  } finally {
    files.close()
  }
}
