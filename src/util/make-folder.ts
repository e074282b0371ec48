/** Makes a folder and its parents. Node's own `mkdir` with `recursive` never returns on file systems that refuse new entries with ENOENT, as `/proc`. */
import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

/** Does nothing if the folder exists. Throws the system's error if it cannot be made. */
export async function makeFolder(folder: string): Promise<void> {
  const path = resolve(folder)
  try {
    await mkdir(path)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return mkdir(path, { recursive: true }).then(() => undefined) // a file there is an error
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await mkdir(path).catch((again: unknown) => {
      if (codeOf(again) !== 'EEXIST') throw again // another process was first
    })
  }
}
