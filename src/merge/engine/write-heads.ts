/** Heads kept one per task: each in `heads/NAME/` as safetensors, with the label names of its model. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfig } from '../../checkpoint/checkpoint.ts'
import { writeSafetensors } from '../../checkpoint/write-safetensors.ts'
import { dtypes, tensorBytes } from '../../tensor/dtypes.ts'
import type { MergePlan } from '../plan/merge-plan.ts'
import { FilePool } from './file-pool.ts'

/** Keys of a config that belong to a head. */
const headKeys = ['id2label', 'label2id', 'num_labels', 'problem_type', 'architectures']

export async function writeHeads(folder: string, plan: MergePlan): Promise<void> {
  const files = new FilePool()
  try {
    for (const { key, label, tensors } of plan.heads) {
      const target = join(folder, 'heads', key.replace(/[\\/]+/g, '-'))
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
    }
  } finally {
    files.close()
  }
}
