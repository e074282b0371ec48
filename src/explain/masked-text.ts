/**
 * A text as tokens that can be taken away: the model's logits with only some of them kept. Encoders lose tokens of their own tokenizer, as ids, so
 * that the others stay as they are; n-gram models lose words.
 */
import type { EncoderModelParts, ModelParts, NgramModelParts } from '../models/model-parts.ts'
import { ngramText } from '../text/ngram-places.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'

/** mask: a token is replaced by the mask token. delete: it is taken out, and the others close up. */
export type Removal = 'mask' | 'delete'

export interface TextToken {
  readonly text: string
  /** UTF-16 units of the text. */
  readonly start: number
  readonly end: number
}

export interface MaskedText {
  readonly tokens: readonly TextToken[]
  /** The model reads the beginning of the text only. */
  readonly truncated: boolean
  /** Token ids with special ones, and where the tokens begin among them (encoders). */
  readonly ids?: Int32Array
  readonly first?: number
  /** One row of logits per mask; a mask holds 1 for each token that is kept. */
  logits(keeps: readonly Uint8Array[], removal: Removal, signal?: AbortSignal): Promise<Float32Array[]>
}

/** How tokens are taken away unless the caller says: by the mask token where the model has one. */
export function defaultRemoval(parts: ModelParts): Removal {
  return parts.kind === 'encoder' && parts.tokenizer.maskId !== undefined ? 'mask' : 'delete'
}

/** The ways in which tokens of this model can be taken away. */
export function removalsOf(parts: ModelParts): Removal[] {
  return defaultRemoval(parts) === 'mask' ? ['mask', 'delete'] : ['delete']
}

export function maskedText(parts: ModelParts, text: string): MaskedText {
  return parts.kind === 'ngram' ? maskedWords(parts, text) : maskedTokens(parts, text)
}

/** Texts scored between two turns of the event loop. */
const chunk = 256

function maskedWords({ model }: NgramModelParts, text: string): MaskedText {
  const { words, codes } = ngramText(text)
  // A blank takes the place of a word, so that its neighbours do not grow together.
  const without = (keep: Uint8Array): string => {
    let kept = ''
    let at = 0
    for (const [i, { start, end }] of words.entries()) {
      kept += text.slice(at, start) + (keep[i] ? text.slice(start, end) : ' ')
      at = end
    }
    return kept + text.slice(at)
  }
  return {
    tokens: words,
    truncated: codes.length > 0 && (words.at(-1)?.end ?? 0) < text.trimEnd().length && codes.length >= 65_536,
    async logits(keeps, removal, signal) {
      if (removal === 'mask') throw noMask()
      const rows: Float32Array[] = []
      for (let start = 0; start < keeps.length; start += chunk) {
        throwIfAborted(signal)
        const logits = model.score(keeps.slice(start, start + chunk).map(without))
        for (let at = 0; at < logits.length; at += model.units) rows.push(logits.subarray(at, at + model.units))
        if (start + chunk < keeps.length) await new Promise<void>((resolve) => setTimeout(resolve))
      }
      return rows
    },
  }
}

function maskedTokens({ tokenizer, maxLength, run }: EncoderModelParts, text: string): MaskedText {
  const ids = tokenizer.encode(text, maxLength)
  const { prefix, suffix } = tokenizer.frame
  const count = ids.length - prefix.length - suffix.length
  const spans = tokenizer.tokens(text)
  const masked = (keep: Uint8Array, removal: Removal): Int32Array => {
    if (removal === 'delete') return ids.filter((_, i) => keep[i - prefix.length] !== 0)
    const { maskId } = tokenizer
    if (maskId === undefined) throw noMask()
    return ids.map((id, i) => (keep[i - prefix.length] === 0 ? maskId : id))
  }
  return {
    tokens: spans.slice(0, count).map(({ start, end }) => ({ start, end, text: text.slice(start, end) })),
    truncated: spans.length > count,
    ids,
    first: prefix.length,
    logits: (keeps, removal, signal) =>
      run(
        keeps.map((keep) => masked(keep, removal)),
        signal ? { signal } : {},
      ),
  }
}

const noMask = () =>
  new InputError('EXPLAIN_MASK', 'The model has no mask token', { help: 'take tokens out instead: removal delete' })
