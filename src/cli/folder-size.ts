/** Bytes of all files below a folder. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

export async function folderSize(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await folderSize(path)
    else if (entry.isFile()) bytes += (await stat(path)).size
  }
  return bytes
}
