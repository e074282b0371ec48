/** The `ngram` model in a folder: config.json and model.safetensors. */
import { join } from 'node:path'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { writeSafetensors } from '../checkpoint/write-safetensors.ts'
import { writeFileAtomic } from '../util/atomic.ts'
import { NgramModel } from './ngram.ts'
import { readNgramParts } from './ngram-parts.ts'

/**
 * Opens the model of a folder.
 * @throws InputError `NGRAM_CONFIG`, `NGRAM_TENSORS` if the files are not those of an ngram model.
 */
export async function loadNgramModel(folder: string): Promise<NgramModel> {
  const checkpoint = await openCheckpoint(folder)
  try {
    return await NgramModel.fromParts(await readNgramParts(checkpoint))
  } finally {
    await checkpoint.close()
  }
}

/** Writes the model into an existing folder. */
export async function saveNgramModel(model: NgramModel, folder: string): Promise<void> {
  const { config, tensors } = model.files()
  await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`)
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
}
