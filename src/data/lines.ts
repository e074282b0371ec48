/** Splits a stream of bytes into lines, with a limit on the length of a line so that a file without newlines cannot fill the memory. */

export interface ByteLine {
  /** From 1. */
  line: number
  /** Without the newline; undefined if the line is longer than the limit. */
  bytes: Uint8Array | undefined
}

const newline = 10

/** Yields the lines that each chunk completes, as one batch. A last line without newline counts; an empty one after the last newline does not. */
export async function* byteLines(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<ByteLine[]> {
  let line = 1
  let parts: Uint8Array[] = []
  let held = 0
  let tooLong = false
  const hold = (part: Uint8Array) => {
    held += part.length
    if (held > maxBytes) {
      tooLong = true
      parts = []
    } else if (part.length > 0) parts.push(part)
  }
  const finish = (): ByteLine => {
    const bytes = tooLong ? undefined : parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    const done = { line, bytes }
    line++
    parts = []
    held = 0
    tooLong = false
    return done
  }
  for await (const chunk of source) {
    const batch: ByteLine[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      hold(chunk.subarray(start, end))
      batch.push(finish())
      start = end + 1
    }
    if (start < chunk.length) hold(chunk.subarray(start))
    if (batch.length > 0) yield batch
  }
  if (held > 0) yield [finish()]
}
