/** Bytes of a text file or of standard input as a stream: decompressed, checked, without a byte order mark; one chunk in memory at a time. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { InputError, systemError, throwIfAborted } from '../util/errors.ts'
import { checkGzipHead, checkTextHead } from './formats.ts'

export interface ByteOptions {
  gzip: boolean
  signal?: AbortSignal | undefined
  /** Called with every chunk as it lies in the file (before decompression). */
  onBytes?: ((chunk: Uint8Array) => void) | undefined
  /** Where `-` reads from. Default: standard input. */
  stdin?: Readable | undefined
}

async function* rawBytes(file: string, options: ByteOptions): AsyncGenerator<Uint8Array> {
  const stream = file === '-' ? (options.stdin ?? process.stdin) : createReadStream(file, { highWaterMark: 1 << 17 })
  const abort = () => stream.destroy(new Error('aborted'))
  options.signal?.addEventListener('abort', abort, { once: true })
  try {
    throwIfAborted(options.signal)
    let first = true
    for await (const chunk of stream as AsyncIterable<Uint8Array | string>) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (first && options.gzip) checkGzipHead(bytes, file)
      first = false
      options.onBytes?.(bytes)
      yield bytes
      throwIfAborted(options.signal)
    }
  } catch (error) {
    throwIfAborted(options.signal)
    throw systemError(error) ?? error
  } finally {
    options.signal?.removeEventListener('abort', abort)
  }
}

async function* gunzipped(source: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip()
  let sourceError: unknown
  const feed = async () => {
    try {
      for await (const chunk of source) {
        if (gunzip.destroyed) return
        if (!gunzip.write(chunk))
          await new Promise<void>((resolve) => {
            const wake = () => {
              gunzip.off('drain', wake).off('close', wake)
              resolve()
            }
            gunzip.on('drain', wake).on('close', wake)
          })
      }
      gunzip.end()
    } catch (error) {
      sourceError = error
      gunzip.destroy(new Error('source failed'))
    }
  }
  const feeding = feed()
  try {
    for await (const chunk of gunzip) yield chunk as Uint8Array
  } catch (error) {
    if (sourceError !== undefined) throw sourceError
    const cut = error instanceof Error && 'code' in error && error.code === 'Z_BUF_ERROR'
    throw new InputError(
      cut ? 'GZIP_TRUNCATED' : 'GZIP_MALFORMED',
      cut ? 'The gzip data ends before its time' : `The gzip data is damaged (${(error as Error).message})`,
      { where: { file }, help: 'the file was probably not written or copied completely: fetch it again', cause: error },
    )
  } finally {
    gunzip.destroy()
    await feeding
  }
}

/**
 * Streams the text bytes of `file` (`-`: standard input). Throws InputError `ENOENT`, `EISDIR`, `EACCES`, `FORMAT_MISMATCH`, `ENCODING`
 * (UTF-16), `GZIP_TRUNCATED` or `GZIP_MALFORMED`, and InterruptedError.
 */
export async function* textBytes(file: string, options: ByteOptions): AsyncGenerator<Uint8Array> {
  const raw = rawBytes(file, options)
  const minimum = 1000
  let head: Uint8Array | undefined = new Uint8Array(0)
  const opened = (bytes: Uint8Array) => {
    checkTextHead(bytes, file)
    return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes
  }
  for await (const chunk of options.gzip ? gunzipped(raw, file) : raw) {
    if (head === undefined) {
      yield chunk
    } else {
      // Standard input may come in small pieces, but must not wait for more than a line.
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
      if (head.length < minimum && !head.includes(10)) continue
      yield opened(head)
      head = undefined
    }
  }
  if (head !== undefined && head.length > 0) yield opened(head)
}

/** The first `length` bytes of a file as they lie on disk. */
export async function headOf(file: string, length = 4096): Promise<Uint8Array> {
  try {
    const handle = await open(file, 'r')
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw systemError(error) ?? error
  }
}

/** SHA-256 of a file's bytes as they lie on disk, in hexadecimal; streamed. */
export async function hashFile(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of rawBytes(file, { gzip: false, signal })) hash.update(chunk)
  return hash.digest('hex')
}
