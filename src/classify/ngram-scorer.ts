/** Scorer of the `ngram` model: hashed n-grams and a linear head, without a native runtime. */
import type { NgramModel } from '../models/ngram.ts'
import { loadNgramModel, saveNgramModel } from '../models/ngram-files.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { Scorer } from './scorer.ts'

/** Texts scored between two turns of the event loop; scoring itself does not yield. */
const chunk = 512

export function ngramScorer(model: NgramModel): Scorer {
  return {
    kind: 'ngram',
    units: model.units,
    parameters: model.parameters,
    parts: { kind: 'ngram', model },
    async score(texts, { signal } = {}) {
      if (texts.length <= chunk) return model.score(texts)
      const logits = new Float32Array(texts.length * model.units)
      for (let start = 0; start < texts.length; start += chunk) {
        throwIfAborted(signal)
        logits.set(model.score(texts.slice(start, start + chunk)), start * model.units)
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
      return logits
    },
    save: (folder) => saveNgramModel(model, folder),
    async close() {},
  }
}

/** Opens the `ngram` model of a folder. */
export async function openNgramScorer(folder: string): Promise<Scorer> {
  return ngramScorer(await loadNgramModel(folder))
}
