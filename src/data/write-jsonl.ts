/** Writes rows as JSON Lines, atomically and streaming, in the form that readDataset reads. */
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { writeFileAtomic } from '../util/atomic.ts'
import { throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { Row } from './row.ts'

const blockLength = 1 << 16

/**
 * Writes `{"text", "labels", "id"}`, one row a line; compressed if the name ends in `.gz`. The same rows give the same bytes.
 *
 * @returns the number of rows written.
 * @throws InputError or RunError of the file system (`EACCES`, `ENOSPC`); then nothing stands under the name that did not stand there before.
 */
export async function writeJsonl(
  file: string,
  rows: Iterable<Pick<Row, 'text' | 'labels' | 'id'>> | AsyncIterable<Pick<Row, 'text' | 'labels' | 'id'>>,
  { signal, onProgress }: RunOptions = {},
): Promise<number> {
  let count = 0
  async function* blocks(): AsyncGenerator<string> {
    let block = ''
    for await (const { text, labels, id } of rows) {
      block += `${JSON.stringify({ text, labels, id })}\n`
      count++
      if (block.length < blockLength) continue
      throwIfAborted(signal)
      yield block
      onProgress?.({ step: `write ${file}`, done: count, unit: 'rows' })
      block = ''
    }
    if (block !== '') yield block
  }
  await writeFileAtomic(file, /\.gz$/i.test(file) ? gzipped(blocks()) : blocks())
  return count
}

async function* gzipped(blocks: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(blocks, { objectMode: false })
  const gzip = createGzip()
  source.on('error', (error) => gzip.destroy(error))
  try {
    yield* source.pipe(gzip) as AsyncIterable<Uint8Array>
  } finally {
    source.destroy()
    gzip.destroy()
  }
}
