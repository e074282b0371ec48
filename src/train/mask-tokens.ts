/**
 * Masking for language models that read both ways (Devlin et al., 2019): a share of the tokens is asked for; of those most are hidden behind the
 * mask token, some are replaced by a random token, and some stay as they are.
 */
import { random } from '../tensor/random.ts'

export interface MaskOptions {
  /** Share of a text's tokens that are asked for, at least one of them. */
  readonly share: number
  readonly maskId: number
  readonly vocabularySize: number
  /** Tokens that are never asked for: those of the frame, such as [CLS] and [SEP]. */
  readonly special: ReadonlySet<number>
}

export interface MaskedRow {
  /** What the encoder reads. */
  readonly tokens: Int32Array
  /** Places asked for, ascending. */
  readonly places: Int32Array
  /** The tokens that stood there. */
  readonly answers: Int32Array
}

/** Of the tokens asked for. The rest stays as it is. */
const hiddenShare = 0.8
const replacedShare = 0.1

/**
 * Masks one text. The same key masks it the same way.
 * @returns no places for a text of special tokens only.
 */
export function maskTokens(tokens: Int32Array, options: MaskOptions, ...key: (string | number)[]): MaskedRow {
  const { share, maskId, vocabularySize, special } = options
  const draw = random('mask', ...key)
  const open = Array.from(tokens.keys()).filter((place) => !special.has(tokens[place]!))
  const count = open.length === 0 ? 0 : Math.max(1, Math.round(share * open.length))
  // The places with the smallest random numbers: exactly `count`, each set of them equally likely.
  const places = open
    .map((place) => ({ place, order: draw.uniform(place * 3) }))
    .sort((a, b) => a.order - b.order || a.place - b.place)
    .slice(0, count)
    .map(({ place }) => place)
    .sort((a, b) => a - b)
  const masked = tokens.slice()
  for (const place of places) {
    const fate = draw.uniform(place * 3 + 1)
    if (fate < hiddenShare) masked[place] = maskId
    else if (fate < hiddenShare + replacedShare)
      masked[place] = Math.floor(draw.uniform(place * 3 + 2) * vocabularySize)
  }
  return {
    tokens: masked,
    places: Int32Array.from(places),
    answers: Int32Array.from(places, (place) => tokens[place]!),
  }
}
