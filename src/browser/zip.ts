/** A folder as one file to download: a ZIP archive without compression (weights hardly shrink), as APPNOTE.TXT 6.3 lays it out. */
import { InputError } from '../util/errors.ts'

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** CRC-32 as ZIP and gzip have it. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

/** 1 January 1980, the earliest date there is: the same files give the same bytes. */
const date = 0x0021
const largest = 0xffffffff

/**
 * The archive of a model's files.
 * @param folder name of the folder in it.
 * @throws InputError `ZIP_SIZE` beyond 4 GiB.
 * @example
 * link.href = URL.createObjectURL(zipFiles(await model.files(), 'my-model'))
 */
export function zipFiles(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>, folder = 'model'): Blob {
  const parts: Uint8Array<ArrayBuffer>[] = []
  const directory: Uint8Array<ArrayBuffer>[] = []
  let offset = 0
  for (const [name, bytes] of files) {
    const path = new TextEncoder().encode(`${folder}/${name}`)
    // Version 2.0, names in UTF-8, stored; then date, checksum, sizes.
    const common = [
      u16(20),
      u16(0x0800),
      u16(0),
      u16(0),
      u16(date),
      u32(crc32(bytes)),
      u32(bytes.length),
      u32(bytes.length),
    ]
    const local = [u32(0x04034b50), ...common, u16(path.length), u16(0), path]
    directory.push(
      ...[u32(0x02014b50), u16(20), ...common, u16(path.length), u16(0), u16(0), u16(0), u16(0), u32(0)],
      u32(offset),
      path,
    )
    parts.push(...local, bytes)
    offset += sizeOf(local) + bytes.length
    if (offset > largest)
      throw new InputError('ZIP_SIZE', 'The files are larger than the 4 GiB of a ZIP archive', {
        help: 'store the files one by one',
      })
  }
  const count = u16(files.size)
  const end = [u32(0x06054b50), u16(0), u16(0), count, count, u32(sizeOf(directory)), u32(offset), u16(0)]
  return new Blob([...parts, ...directory, ...end], { type: 'application/zip' })
}

const sizeOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, { length }) => sum + length, 0)

function u16(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value & 0xff, value >>> 8)
}

function u32(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24)
}
