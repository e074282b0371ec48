/** Fingerprints of values. */
import { createHash } from 'node:crypto'

/** SHA-256, in hexadecimal, of a value's JSON form; keys in the order given. */
export function sha256OfJson(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
