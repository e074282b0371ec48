/** Values of options: numbers in their range, lists, choices; anything else is a typed error that names the option. */
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'

interface Range {
  least?: number
  most?: number
  /** The least value itself is not allowed. */
  open?: boolean
}

function refuse(option: string, expected: string, received: string, help?: string): never {
  throw new InputError('OPTION_VALUE', `${option} expects ${expected}, received "${received}"`, {
    where: { key: option },
    ...(help === undefined ? {} : { help }),
  })
}

function describeRange({ least, most, open = false }: Range): string {
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`
  if (least !== undefined) return open ? ` above ${least}` : ` of at least ${least}`
  return ''
}

/** A parser of numbers in a range. */
export function numberIn(option: string, range: Range = {}): (text: string) => number {
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY, open = false } = range
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (!Number.isFinite(value) || value < least || value > most || (open && value === least))
      refuse(option, `a number${describeRange(range)}`, text)
    return value
  }
}

/** A parser of whole numbers in a range. */
export function wholeIn(option: string, range: Range = {}): (text: string) => number {
  const { least = Number.MIN_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER } = range
  return (text) => {
    const value = Number(text)
    if (!/^[+-]?\d+$/.test(text.trim()) || value < least || value > most)
      refuse(option, `a whole number${describeRange(range)}`, text)
    return value
  }
}

/** A parser of one word out of several. */
export function oneOf<const Choice extends string>(
  option: string,
  choices: readonly Choice[],
): (text: string) => Choice {
  return (text) =>
    choices.find((choice) => choice === text) ??
    refuse(option, `one of ${choices.join(', ')}`, text, didYouMean(text, choices, `choose ${choices.join(' or ')}`))
}

/** Names separated by commas; one name stays a string. */
export function namesOf(option: string): (text: string) => string | string[] {
  return (text) => {
    const names = text.split(',').map((name) => name.trim())
    if (names.includes('')) refuse(option, 'a name, or names separated by commas', text)
    return names.length === 1 ? names[0]! : names
  }
}

/** Collects an option that may be given several times. */
export const collect = (text: string, before: string[] = []): string[] => [...before, text]
