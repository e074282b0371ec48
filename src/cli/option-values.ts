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
  if (least !== undefined && most !== undefined)
    return open ? ` above ${least}, at most ${most}` : ` from ${least} to ${most}`
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

/** A parser of sizes in bytes: `300MB`, `1.5GB`, `2GiB`, or a plain number. */
export function bytesIn(option: string): (text: string) => number {
  const units: Record<string, number> = {
    '': 1,
    b: 1,
    kb: 1e3,
    mb: 1e6,
    gb: 1e9,
    kib: 2 ** 10,
    mib: 2 ** 20,
    gib: 2 ** 30,
  }
  return (text) => {
    const [, number, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? []
    const factor = units[unit.toLowerCase()]
    if (number === undefined || factor === undefined || Number(number) === 0)
      refuse(option, 'a size', text, 'write a number with a unit, such as 300MB or 1GB')
    return Math.round(Number(number) * factor)
  }
}
