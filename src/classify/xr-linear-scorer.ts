/** Scorer of an `xr-linear` model: it ranks the best labels of a text by a search through a tree, and never scores all of them. */
import { XrLinearModel } from '../models/xr-linear.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { Scorer } from './scorer.ts'

/** Texts ranked between two turns of the event loop; a search itself does not yield. */
const chunk = 512
/** Units that a row of logits can be given for; all others count as left out. */
const listedUnits = 1000
/** Values of all rows of logits at once: 1 GiB. */
const mostLogits = 2 ** 28
/**
 * A path whose steps all keep their margins has the score 0, "certain"; its probability is taken to be a little less.
 * Sharpness of single labels: fitted on the dev rows of NAICS-2012 and CLINC150, for models without dev rows of their own.
 */
const sureScore = -1e-4
const sharpness = 1

/** @param multiLabel several labels a row: the score is the probability itself; else labels share the whole probability. */
export function xrLinearScorer(model: XrLinearModel, multiLabel: boolean, training?: Record<string, unknown>): Scorer {
  const logitOf = multiLabel
    ? (score: number) => {
        const certain = Math.min(sureScore, score)
        return certain - Math.log(-Math.expm1(certain))
      }
    : (score: number) => sharpness * score
  const rank: NonNullable<Scorer['rank']> = async (texts, k, { beam, signal } = {}) => {
    const offsets = new Uint32Array(texts.length + 1)
    const most = Math.min(k, model.units)
    const units = new Uint32Array(texts.length * most)
    const logits = new Float32Array(units.length)
    let used = 0
    for (let start = 0; start < texts.length; start += chunk) {
      if (start > 0) await new Promise<void>((resolve) => setImmediate(resolve))
      throwIfAborted(signal)
      const part = model.rank(texts.slice(start, start + chunk), most, beam)
      units.set(part.units, used)
      for (const [i, score] of part.scores.entries()) logits[used + i] = logitOf(score)
      for (let row = 1; row < part.offsets.length; row++) offsets[start + row] = used + part.offsets[row]!
      used += part.units.length
    }
    return { offsets, units: units.subarray(0, used), logits: logits.subarray(0, used) }
  }
  return {
    kind: 'xr-linear',
    units: model.units,
    parameters: model.parameters,
    get parts(): never {
      throw new InputError('MODEL_PARTS', 'An xr-linear model has no parts to explain or export yet', {
        help: 'train another --method for that, for example flat',
      })
    },
    ...(training === undefined ? {} : { training }),
    rank,
    async score(texts, options) {
      if (texts.length * model.units > mostLogits)
        throw new InputError(
          'SCORES_ROOM',
          `Expected at most ${mostLogits} logits at once, ${texts.length} texts x ${model.units} labels are more`,
          { help: 'give fewer texts at once, or use predict, which only looks at the best labels' },
        )
      const { offsets, units, logits } = await rank(texts, listedUnits, options)
      const rows = new Float32Array(texts.length * model.units).fill(Number.NEGATIVE_INFINITY)
      for (let row = 0; row < texts.length; row++)
        for (let i = offsets[row]!; i < offsets[row + 1]!; i++) rows[row * model.units + units[i]!] = logits[i]!
      return rows
    },
    save: (folder) => model.save(folder),
    async close() {
      model.close()
    },
  }
}

/** Opens the `xr-linear` model of a folder; its weights stay on disk. */
export async function openXrLinearScorer(folder: string, multiLabel: boolean): Promise<Scorer> {
  return xrLinearScorer(await XrLinearModel.load(folder), multiLabel)
}
