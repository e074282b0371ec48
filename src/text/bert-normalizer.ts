/**
 * BERT's text normaliser (Devlin et al., 2018) with the character classes of Hugging Face's Rust tokenizers: cleaned of control characters,
 * spaces around CJK ideographs, accents stripped, lower case. Over all of Unicode it differs from theirs only where their tables are older
 * (marks and punctuation added since Unicode 8).
 */

export interface BertNormalizerOptions {
  cleanText: boolean
  handleChineseChars: boolean
  stripAccents: boolean
  lowercase: boolean
}

/** The options of a tokenizer.json's `normalizer` of type BertNormalizer. */
export function bertNormalizerOptions(json: Record<string, unknown>): BertNormalizerOptions {
  const lowercase = json['lowercase'] !== false
  return {
    cleanText: json['clean_text'] !== false,
    handleChineseChars: json['handle_chinese_chars'] !== false,
    stripAccents: typeof json['strip_accents'] === 'boolean' ? json['strip_accents'] : lowercase,
    lowercase,
  }
}

const removed = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu
const spaces = /\p{White_Space}/gu
const ideographs =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu

/** Normalises a text; plain ASCII takes a short way. */
export function bertNormalize(text: string, options: BertNormalizerOptions): string {
  if (/^[ -~]*$/.test(text)) return options.lowercase ? text.toLowerCase() : text
  if (options.cleanText) text = text.replace(removed, '').replace(spaces, ' ')
  if (options.handleChineseChars) text = text.replace(ideographs, ' $& ')
  if (options.stripAccents) text = text.normalize('NFD').replace(/\p{Mn}/gu, '')
  // A whole-string toLowerCase would turn a final capital sigma into ς; the original works character by character.
  if (options.lowercase) text = text.replaceAll('Σ', 'σ').toLowerCase()
  return text
}

const words = /[^\p{White_Space}\p{P}!-/:-@[-`{-~]+|[\p{P}!-/:-@[-`{-~]/gu

/** BERT's pre-tokeniser: runs without white space, every punctuation mark on its own. */
export function bertWords(text: string): string[] {
  return text.match(words) ?? []
}
