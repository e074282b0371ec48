/** Writing a whole checkpoint folder: weights in one file or in shards with an index, config.json, and files carried over from a source. */
import { copyFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFolderAtomic } from '../util/atomic.ts'
import { systemError } from '../util/errors.ts'
import { layoutSafetensors, type TensorInfo } from './safetensors-header.ts'
import { indexFileName, planShards, shardIndex } from './shards.ts'
import { type TensorEntry, type WriteOptions, writeNew } from './write-safetensors.ts'

export interface CheckpointContent {
  config: Record<string, unknown>
  tensors: Iterable<TensorEntry>
  /** Further files by name, such as labels.json. */
  files?: Record<string, string | Uint8Array>
  /** A folder whose tokenizer and generation files are copied, unless `files` has them. */
  copyFrom?: string
  /** Largest size of one weights file in bytes (default 5 GB, as transformers). */
  maxShardBytes?: number
  metadata?: Record<string, string>
}

const carriedOver =
  /^(tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)|merges\.txt|.*\.spm|(spiece|tokenizer|sentencepiece.*)\.model|generation_config\.json|chat_template\.(json|jinja))$/

/** True for the name of a tokenizer or generation file. */
export function isCompanion(name: string): boolean {
  return carriedOver.test(name)
}

/** The files of a folder that belong to its tokenizer or to generation, and go wherever the weights go. */
export async function companionFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw systemError(error) ?? error
  })
  return names.filter(isCompanion).sort()
}

/** Writes a checkpoint's files into an existing folder that is itself temporary (inside `writeFolderAtomic`). */
export async function writeCheckpointInto(
  folder: string,
  content: CheckpointContent,
  options: WriteOptions = {},
): Promise<void> {
  const shards = planShards(content.tensors, content.maxShardBytes ?? 5e9)
  const layouts = shards.map(({ file, specs }) => layoutSafetensors(specs, content.metadata, file))
  const files = content.files ?? {}
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    await writeFile(join(folder, 'config.json'), `${JSON.stringify(content.config, null, 2)}\n`)
    if (content.copyFrom !== undefined)
      for (const name of await companionFiles(content.copyFrom))
        if (!Object.hasOwn(files, name)) await copyFile(join(content.copyFrom, name), join(folder, name))
    const total = layouts.reduce((sum, layout) => sum + layout.fileBytes, 0)
    let before = 0
    for (const [i, { file, specs }] of shards.entries()) {
      const done = before
      await writeNew(join(folder, file), layouts[i]!, specs, {
        ...options,
        onProgress: (progress) => options.onProgress?.({ ...progress, done: done + progress.done, total }),
      })
      before += layouts[i]!.fileBytes
    }
    if (shards.length > 1) {
      const parts = shards.map(({ file }, i) => ({ file, tensors: layouts[i]!.tensors as TensorInfo[] }))
      await writeFile(join(folder, indexFileName), shardIndex(parts))
    }
  } catch (error) {
    throw systemError(error) ?? error
  }
}

/**
 * Writes a checkpoint folder atomically (see `writeFolderAtomic`); transformers' `from_pretrained` opens it.
 *
 * @example
 * await writeCheckpoint('out', { config: model.config, tensors, copyFrom: model.folder })
 */
export async function writeCheckpoint(
  folder: string,
  content: CheckpointContent,
  options: WriteOptions & { force?: boolean } = {},
): Promise<void> {
  await writeFolderAtomic(folder, { force: options.force ?? false }, (temporary) =>
    writeCheckpointInto(temporary, content, options),
  )
}
