/** Files opened once and read or written at given places, synchronously: a worker thread's whole time is its own. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { InputError, systemError } from '../../util/errors.ts'

/** One system call moves at most this much. */
const largest = 1 << 30

export class FilePool {
  private readonly handles = new Map<string, number>()

  /** Fills `target` from `position` on. Throws a typed error if the file ends early or has gone. */
  read(file: string, position: number, target: Uint8Array): void {
    const handle = this.handle(file, 'r')
    let done = 0
    while (done < target.length) {
      const count = this.attempt(file, () =>
        readSync(handle, target, done, Math.min(largest, target.length - done), position + done),
      )
      if (count === 0)
        throw new InputError('SAFETENSORS_TRUNCATED', 'An input file became shorter while it was read', {
          where: { file },
          help: 'was it being written? run again with --resume when it is complete',
        })
      done += count
    }
  }

  write(file: string, position: number, bytes: Uint8Array): void {
    const handle = this.handle(file, 'r+')
    let done = 0
    while (done < bytes.length)
      done += this.attempt(file, () =>
        writeSync(handle, bytes, done, Math.min(largest, bytes.length - done), position + done),
      )
  }

  append(file: string, text: string): void {
    const handle = this.handle(file, 'a')
    this.attempt(file, () => writeSync(handle, text))
  }

  close(): void {
    for (const handle of this.handles.values()) closeSync(handle)
    this.handles.clear()
  }

  private handle(file: string, flags: string): number {
    const key = `${flags} ${file}`
    const found = this.handles.get(key)
    if (found !== undefined) return found
    const handle = this.attempt(file, () => openSync(file, flags))
    this.handles.set(key, handle)
    return handle
  }

  private attempt<T>(file: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof Error && !('path' in error)) Object.assign(error, { path: file })
      throw systemError(error) ?? error
    }
  }
}
