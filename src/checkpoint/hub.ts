/** Downloads of models from the Hugging Face Hub into the cache that Python shares. */
import type { RunOptions } from '../util/progress.ts'

export async function downloadModel(reference: string, _options: RunOptions = {}): Promise<string> {
  throw new Error(`not ready: ${reference}`)
}
