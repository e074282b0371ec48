/** Readers of JSON Lines (one object a line, jsonlines.org) and of files that hold one JSON list of objects. */
import { type ByteOptions, textBytes } from './bytes.ts'
import { jsonElements } from './json-elements.ts'
import { byteLines } from './lines.ts'
import { type DataRecord, jsonRecord, type RecordSource } from './records.ts'

/** Opens a JSONL (`list: false`) or JSON-list file, or standard input (`-`). Blank lines are passed over. */
export function openJson(file: string, options: ByteOptions & { list: boolean; maxBytes: number }): RecordSource {
  async function* records(): AsyncGenerator<DataRecord[]> {
    const bytes = textBytes(file, options)
    const pieces = options.list ? jsonElements(bytes, options.maxBytes, file) : byteLines(bytes, options.maxBytes)
    for await (const batch of pieces) {
      const parsed = batch
        .map((piece) => jsonRecord(piece, file, options.maxBytes))
        .filter((record) => record !== undefined)
      if (parsed.length > 0) yield parsed
    }
  }
  return { columns: undefined, records }
}
