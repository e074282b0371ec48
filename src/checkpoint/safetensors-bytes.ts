/** A safetensors file that is in memory already, as a browser fetched it: checked like one on disk, read without Node. */
import { InputError } from '../util/errors.ts'
import { maxHeaderBytes, parseHeader, type TensorInfo, truncated } from './safetensors-header.ts'

export interface SafetensorsBytes {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** A copy of the tensor's bytes. Throws InputError `TENSOR_MISSING`. */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * Reads a safetensors file's bytes. `file` names it in errors.
 * @throws InputError `SAFETENSORS_TRUNCATED`, `SAFETENSORS_MALFORMED`, `SAFETENSORS_TENSOR`.
 */
export function readSafetensorsBytes(bytes: Uint8Array, file: string): SafetensorsBytes {
  if (bytes.length < 8) throw truncated(file, 8, bytes.length)
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true))
  if (headerBytes > maxHeaderBytes) {
    throw new InputError(
      'SAFETENSORS_MALFORMED',
      `The header is said to have ${headerBytes} bytes, expected at most ${maxHeaderBytes}`,
      {
        where: { file },
        help: 'check that this is a safetensors file, and fetch it again',
      },
    )
  }
  if (bytes.length < 8 + headerBytes) throw truncated(file, 8 + headerBytes, bytes.length)
  const { tensors } = parseHeader(bytes.subarray(8, 8 + headerBytes), file, bytes.length, 8 + headerBytes)
  return {
    tensors,
    async read(name) {
      const place = tensors.get(name)?.place
      if (!place)
        throw new InputError('TENSOR_MISSING', `The file has no tensor "${name}"`, { where: { file, tensor: name } })
      const { bytes: length } = tensors.get(name)!
      return new Uint8Array(bytes.subarray(place.offset, place.offset + length))
    },
  }
}
