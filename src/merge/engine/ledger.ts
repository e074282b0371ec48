/** The ledger of an unfinished merge: which tensors stand in their place, with the checksum of their bytes. One line each, appended. */
import { readFile } from 'node:fs/promises'

export interface Ledger {
  /** Of the plan that it belongs to. */
  readonly fingerprint: string
  /** The process that wrote it. */
  readonly process: number
  /** Checksums by the tensor's index in the plan. */
  readonly finished: Map<number, number>
}

export function ledgerHeader(fingerprint: string): string {
  return `espalier merge ${fingerprint} ${process.pid}\n`
}

export function ledgerLine(index: number, checksum: number): string {
  return `${index} ${checksum}\n`
}

/** Reads a ledger; undefined if there is none or it has no sound first line. A last line that was cut off is ignored. */
export async function readLedger(file: string): Promise<Ledger | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  const [first, ...lines] = text?.slice(0, text.lastIndexOf('\n') + 1).split('\n') ?? []
  const header = /^espalier merge (\w+) (\d+)$/.exec(first ?? '')
  if (!header) return undefined
  const finished = new Map<number, number>()
  for (const line of lines) {
    const [, index, checksum] = /^(\d+) (\d+)$/.exec(line) ?? []
    if (index !== undefined) finished.set(Number(index), Number(checksum))
  }
  return { fingerprint: header[1]!, process: Number(header[2]), finished }
}
