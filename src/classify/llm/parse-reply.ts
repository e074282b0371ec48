/** Which of the offered labels a reply names. A reply that names none is no answer: it is never replaced by a guess. */
import { editDistance } from '../../util/suggest.ts'

/** Slips of the pen that are forgiven. */
const mostSlips = 2

const fold = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\s_]+/g, ' ')
    .trim()

/**
 * The index of the offered label that the reply names: word for word; else with case, blanks and underscores folded; else as the beginning of one label
 * only; else within two slips of one label only. Undefined if there is none. The first line that says anything counts, or the field `label` of a JSON
 * object; quotes, list marks and a final full stop are taken off.
 */
export function parseReply(reply: string, offered: readonly string[]): number | undefined {
  const answer = bare(reply)
  if (answer === '') return undefined
  const exact = offered.indexOf(answer)
  if (exact >= 0) return exact
  const folded = fold(answer)
  const labels = offered.map(fold)
  return (
    only(labels, (label) => label === folded) ??
    only(labels, (label) => label.startsWith(folded)) ??
    only(
      labels,
      (label) =>
        Math.abs(label.length - folded.length) <= mostSlips &&
        Math.min(label.length, folded.length) > mostSlips &&
        editDistance(label, folded) <= mostSlips,
    )
  )
}

function only(labels: readonly string[], fits: (label: string) => boolean): number | undefined {
  const first = labels.findIndex(fits)
  return first >= 0 && !labels.some((label, i) => i > first && fits(label)) ? first : undefined
}

function bare(reply: string): string {
  const line = jsonLabel(reply) ?? reply.split('\n').find((each) => /[^\s`]/.test(each)) ?? ''
  return line
    .trim()
    .replace(/^(?:[-*•]\s+|\d+[.)]\s+|label\s*:\s*|answer\s*:\s*)/i, '')
    .replace(/^(["'`*]+)(.*?)\1\.?$/s, '$2')
    .replace(/\.$/, '')
    .trim()
}

function jsonLabel(reply: string): string | undefined {
  const object = /\{[^{}]*\}/.exec(reply)?.[0]
  if (object === undefined) return undefined
  try {
    const { label } = JSON.parse(object) as { label?: unknown }
    return typeof label === 'string' ? label : undefined
  } catch {
    return undefined
  }
}
