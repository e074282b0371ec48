/** Model references: a path, or `hf:ORG/NAME[@REVISION]` on the Hugging Face Hub, downloaded into the cache that Python shares. */
import type { RunOptions } from '../util/progress.ts'

export async function resolveModel(reference: string, _options: RunOptions = {}): Promise<string> {
  if (!reference.startsWith('hf:')) return reference
  throw new Error('hub')
}
