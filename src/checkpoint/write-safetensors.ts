/**
 * Writing safetensors. The layout is known before the first byte, so tensors may be written in any order and by several writers at once;
 * a finished file is read back before it takes its name.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { dtypes } from '../tensor/dtypes.ts'
import { findNonFinite } from '../tensor/finite.ts'
import { RunError, systemError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { openSafetensors, tensorOf } from './safetensors-file.ts'
import { layoutSafetensors, type SafetensorsLayout, type TensorInfo, type TensorSpec } from './safetensors-header.ts'

/** A tensor to write. `data` may be a function, called when its turn comes, so that one tensor at a time is held in memory. */
export interface TensorEntry extends TensorSpec {
  data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView> | AsyncIterable<ArrayBufferView>)
}

export interface WriteOptions extends RunOptions {
  /** Read the values back and refuse NaN and infinity (default false; header and size are always checked). */
  checkFinite?: boolean
}

/** A safetensors file that is being filled in place. */
export interface SafetensorsWriter {
  readonly layout: SafetensorsLayout
  /** Writes bytes of a tensor, from `byteOffset` (default 0) within it. Any order, any number of calls at once. */
  write(name: string, bytes: Uint8Array, byteOffset?: number): Promise<void>
  /** Flushes to the disk and closes. */
  close(): Promise<void>
}

/**
 * Creates `file` at its full size with its header written, ready to be filled. The file stands under the given name from the start: give a
 * temporary one, then `verifySafetensors`, then rename; or use `writeSafetensors`, which does so.
 */
export async function createSafetensors(file: string, layout: SafetensorsLayout): Promise<SafetensorsWriter> {
  const byName = new Map<string, TensorInfo & { offset: number }>(layout.tensors.map((tensor) => [tensor.name, tensor]))
  let handle: FileHandle
  try {
    handle = await open(file, 'wx')
    await handle.truncate(layout.fileBytes)
    await writeAt(handle, layout.header, 0)
  } catch (error) {
    throw systemError(error) ?? error
  }
  return {
    layout,
    async write(name, bytes, byteOffset = 0) {
      const tensor = tensorOf(byName, name, file) as TensorInfo & { offset: number }
      if (byteOffset < 0 || byteOffset + bytes.length > tensor.bytes)
        throw new RangeError(
          `Bytes ${byteOffset} to ${byteOffset + bytes.length} are outside the ${tensor.bytes} bytes of ${name}`,
        )
      await writeAt(handle, bytes, tensor.offset + byteOffset)
    },
    async close() {
      try {
        await handle.sync()
      } catch (error) {
        throw systemError(error) ?? error
      } finally {
        await handle.close()
      }
    },
  }
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  try {
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await handle.write(bytes, done, Math.min(1 << 30, bytes.length - done), position + done)
      done += bytesWritten
    }
  } catch (error) {
    throw systemError(error) ?? error
  }
}

/** Reads a written file back: its header must give exactly the planned tensors, and with `checkFinite` no value may be NaN or infinite. */
export async function verifySafetensors(
  file: string,
  layout: SafetensorsLayout,
  options: WriteOptions = {},
): Promise<void> {
  const written = await openSafetensors(file)
  try {
    for (const { name, dtype, shape, offset } of layout.tensors) {
      const found = written.tensors.get(name)
      if (!found || found.dtype !== dtype || found.shape.join() !== shape.join() || found.place?.offset !== offset)
        throw new RunError('VERIFY_FAILED', 'The file read back differs from what was written', {
          where: { file, tensor: name },
          help: 'the disk may be failing: try another one',
        })
    }
    if (options.checkFinite)
      for (const tensor of layout.tensors) await checkFinite(written.readInto, file, tensor, options)
  } finally {
    await written.close()
  }
}

const blockBytes = 1 << 20

async function checkFinite(
  readInto: (name: string, target: Uint8Array, byteOffset: number) => Promise<void>,
  file: string,
  { name, dtype, bytes }: TensorInfo,
  { signal }: RunOptions,
): Promise<void> {
  const block = new Uint8Array(Math.min(blockBytes, bytes))
  for (let at = 0; at < bytes; at += blockBytes) {
    throwIfAborted(signal)
    const part = block.subarray(0, Math.min(blockBytes, bytes - at))
    await readInto(name, part, at)
    const fault = findNonFinite(part, dtype)
    if (fault >= 0)
      throw new RunError('NOT_FINITE', 'A written tensor holds NaN or infinity', {
        where: { file: basename(file), tensor: name },
        help: 'check the inputs for NaN, or choose a wider dtype',
        data: { element: fault + (at * 8) / dtypes[dtype].bits },
      })
  }
}

/** Writes all entries into a file being filled, in the order of their bytes. */
export async function fillSafetensors(
  writer: SafetensorsWriter,
  entries: Iterable<TensorEntry>,
  options: RunOptions = {},
): Promise<void> {
  const sources = new Map([...entries].map((entry) => [entry.name, entry.data]))
  const total = writer.layout.fileBytes
  for (const { name, bytes, offset } of writer.layout.tensors) {
    throwIfAborted(options.signal)
    const source = sources.get(name)!
    const data = typeof source === 'function' ? await source() : source
    let done = 0
    for await (const part of Symbol.asyncIterator in data ? data : [data]) {
      if (done + part.byteLength > bytes) throw wrongLength(name, bytes, done + part.byteLength)
      await writer.write(name, new Uint8Array(part.buffer, part.byteOffset, part.byteLength), done)
      done += part.byteLength
    }
    if (done !== bytes) throw wrongLength(name, bytes, done)
    options.onProgress?.({ step: 'write', done: offset + bytes, total, unit: 'bytes' })
  }
}

function wrongLength(name: string, expected: number, received: number): RangeError {
  return new RangeError(`Expected ${expected} bytes of data for ${name}, received ${received}`)
}

/**
 * Writes a safetensors file atomically: to a temporary neighbour, flushed, read back, renamed. On any failure nothing is left behind.
 *
 * `metadata` defaults to `{ format: 'pt' }`, which transformers asks for. Throws typed errors (`ENOSPC`, `NOT_FINITE`, ...), and
 * RangeError if an entry's data does not have its shape's bytes.
 *
 * @example
 * await writeSafetensors('model.safetensors', [{ name: 'w', dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }])
 */
export async function writeSafetensors(
  file: string,
  entries: Iterable<TensorEntry> | AsyncIterable<TensorEntry>,
  metadata?: Record<string, string>,
  options: WriteOptions = {},
): Promise<void> {
  const list: TensorEntry[] = []
  for await (const entry of entries) list.push(entry)
  const layout = layoutSafetensors(list, metadata, file)
  const temporary = join(dirname(resolve(file)), `.${basename(file)}.tmp-${randomUUID()}`)
  try {
    await writeNew(temporary, layout, list, options)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw systemError(error) ?? error
  }
}

/** Writes and verifies a new file under its final name, for use inside a folder that is itself temporary. */
export async function writeNew(
  file: string,
  layout: SafetensorsLayout,
  entries: Iterable<TensorEntry>,
  options: WriteOptions = {},
): Promise<void> {
  const writer = await createSafetensors(file, layout)
  try {
    await fillSafetensors(writer, entries, options)
  } finally {
    await writer.close()
  }
  await verifySafetensors(file, layout, options)
}
