/** For tests: a folder that vanishes after the test file, and a way to look at the typed error that something throws. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { EspalierError } from '../src/util/errors.ts'

/** Makes a folder and returns a function that writes a file in it and gives its path. */
export function temporaryFolder(): { folder: string; write: (name: string, content: string | Uint8Array) => string } {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return {
    folder,
    write(name, content) {
      const path = join(folder, name)
      writeFileSync(path, content)
      return path
    },
  }
}

/** The typed error that `work` throws; fails if it throws another or none. */
export async function faultOf(work: () => unknown): Promise<EspalierError> {
  try {
    await work()
  } catch (error) {
    if (EspalierError.is(error)) return error
    throw error
  }
  throw new Error('expected a typed error, none was thrown')
}
