/** One safetensors file, opened lazily: only the header is read at first, tensors and parts of tensors when asked for. */
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { InputError, RunError, systemError } from '../util/errors.ts'
import { foreignByContent } from './foreign-formats.ts'
import { maxHeaderBytes, parseHeader, type TensorInfo, truncated } from './safetensors-header.ts'

export interface SafetensorsFile {
  readonly file: string
  readonly fileBytes: number
  readonly tensors: ReadonlyMap<string, TensorInfo>
  readonly metadata: Readonly<Record<string, string>>
  /** Fills `target` with the tensor's bytes from `byteOffset` on, without a copy. */
  readInto(name: string, target: Uint8Array, byteOffset?: number): Promise<void>
  close(): Promise<void>
}

/** One read call takes less than 2 GiB. */
const readLimit = 1 << 30

/**
 * Opens a safetensors file and checks its header.
 *
 * Throws InputError: `ENOENT` and its like, `FILE_EMPTY`, `SAFETENSORS_TRUNCATED`, `SAFETENSORS_MALFORMED`, `SAFETENSORS_TENSOR` (names
 * the tensor), `CHECKPOINT_FORMAT` for pickle, GGUF and other formats.
 */
export async function openSafetensors(file: string): Promise<SafetensorsFile> {
  let handle: FileHandle | undefined
  try {
    const found = await stat(file)
    if (!found.isFile())
      throw new InputError(found.isDirectory() ? 'EISDIR' : 'NOT_A_FILE', 'Expected a safetensors file', {
        where: { file },
        help: 'give the path of a .safetensors file',
      })
    handle = await open(file, 'r')
    const fileBytes = (await handle.stat()).size
    const headerBytes = await headerLength(handle, file, fileBytes)
    const json = new Uint8Array(headerBytes)
    await fill(handle, file, json, 8)
    const { tensors, metadata } = parseHeader(json, file, fileBytes, 8 + headerBytes)
    const source = handle
    return {
      file,
      fileBytes,
      tensors,
      metadata,
      async readInto(name, target, byteOffset = 0) {
        const { bytes, place } = tensorOf(tensors, name, file)
        if (byteOffset < 0 || byteOffset + target.length > bytes)
          throw new RangeError(
            `Bytes ${byteOffset} to ${byteOffset + target.length} are outside the ${bytes} bytes of ${name}`,
          )
        await fill(source, file, target, place!.offset + byteOffset)
      },
      close: () => source.close(),
    }
  } catch (error) {
    await handle?.close()
    throw systemError(error) ?? error
  }
}

/** The entry of a tensor, or InputError `TENSOR_UNKNOWN`. */
export function tensorOf(tensors: ReadonlyMap<string, TensorInfo>, name: string, file: string): TensorInfo {
  const found = tensors.get(name)
  if (!found)
    throw new InputError('TENSOR_UNKNOWN', 'The checkpoint has no tensor of this name', {
      where: { file, tensor: name },
      help: 'list its tensors with: espalier inspect',
    })
  return found
}

/** A buffer for a tensor's bytes, or RunError `OUT_OF_MEMORY` that says how to read it in parts. */
export function allocate(bytes: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes)
  } catch (cause) {
    throw new RunError('OUT_OF_MEMORY', `No room for ${bytes.toLocaleString('en-US')} bytes at once`, {
      where: { tensor: name },
      help: 'read the tensor in blocks of rows',
      cause,
    })
  }
}

async function headerLength(handle: FileHandle, file: string, fileBytes: number): Promise<number> {
  if (fileBytes === 0)
    throw new InputError('FILE_EMPTY', 'The file is empty, expected safetensors', {
      where: { file },
      help: 'fetch it again',
    })
  const start = new Uint8Array(Math.min(64, fileBytes))
  await fill(handle, file, start, 0)
  const length = start.length < 8 ? Number.NaN : Number(new DataView(start.buffer).getBigUint64(0, true))
  if (length >= 2 && length <= maxHeaderBytes && (start.length === 8 || start[8] === 0x7b)) {
    if (8 + length > fileBytes) throw truncated(file, 8 + length, fileBytes)
    return length
  }
  const reason =
    start.length < 8
      ? `it has only ${fileBytes} bytes`
      : length > maxHeaderBytes
        ? `its header would be ${length.toLocaleString('en-US')} bytes long, more than ${maxHeaderBytes.toLocaleString('en-US')}`
        : 'its header does not begin with "{"'
  throw (
    foreignByContent(start, file) ??
    new InputError('SAFETENSORS_MALFORMED', `${basename(file)} is not a safetensors file: ${reason}`, {
      where: { file },
      help: 'check that this is the right file, or fetch it again',
    })
  )
}

async function fill(handle: FileHandle, file: string, target: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < target.length) {
    const { bytesRead } = await handle
      .read(target, done, Math.min(readLimit, target.length - done), position + done)
      .catch((error: unknown) => {
        throw systemError(error) ?? error
      })
    if (bytesRead === 0) throw truncated(file, position + target.length, position + done)
    done += bytesRead
  }
}
