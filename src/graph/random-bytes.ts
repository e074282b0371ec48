/**
 * Random bytes for dropout: AES-128 in counter mode (a counter-based generator, Salmon et al., 2011) through the Web Crypto API, which Node
 * and browsers share, so that both draw the same bytes. The key is the seed; the counter starts at (step, name).
 */
import { RunError } from '../util/errors.ts'

let zeros = new Uint8Array(0)

/** A source of bytes for one seed. @throws RunError `NO_WEB_CRYPTO` in a browser page that is neither https nor localhost. */
export async function randomByteSource(
  seed: number,
): Promise<(length: number, step: number, name: string) => Promise<Uint8Array>> {
  const subtle = globalThis.crypto?.subtle
  if (!subtle)
    throw new RunError('NO_WEB_CRYPTO', 'Dropout needs the Web Crypto API, which this page may not use', {
      help: 'serve the page over https or from localhost',
    })
  const keyBytes = new Uint8Array(16)
  new DataView(keyBytes.buffer).setFloat64(0, seed)
  const key = await subtle.importKey('raw', keyBytes, 'AES-CTR', false, ['encrypt'])
  return async (length, step, name) => {
    if (zeros.length < length) zeros = new Uint8Array(length)
    const counter = new Uint8Array(16)
    const view = new DataView(counter.buffer)
    view.setUint32(0, hashName(name))
    view.setUint32(4, step)
    const stream = await subtle.encrypt({ name: 'AES-CTR', counter, length: 64 }, key, zeros.subarray(0, length))
    return new Uint8Array(stream)
  }
}

/** 32-bit FNV-1a hash of a name's code units. */
function hashName(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
