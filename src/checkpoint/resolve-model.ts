/** Model references: a path, or `hf:ORG/NAME[@REVISION]` on the Hugging Face Hub. The downloader is loaded only when one is named. */
import type { RunOptions } from '../util/progress.ts'

/**
 * The local folder (or file) of a model reference; `hf:` references are downloaded into the shared Hugging Face cache first.
 *
 * Throws InputError `HUB_...` if the reference, the access or the network is at fault.
 *
 * @example
 * await resolveModel('models/mine') // 'models/mine'
 */
export async function resolveModel(reference: string, options: RunOptions = {}): Promise<string> {
  if (!reference.startsWith('hf:')) return reference
  const { downloadModel } = await import('./hub.ts')
  return downloadModel(reference, options)
}
