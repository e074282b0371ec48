import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeFolder } from './make-folder.ts'

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'espalier-folder-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

describe('makeFolder', () => {
  it('makes parents, and accepts a folder that exists', async () => {
    await makeFolder(join(root, 'a', 'b', 'c'))
    await makeFolder(join(root, 'a', 'b', 'c'))
    expect((await stat(join(root, 'a', 'b', 'c'))).isDirectory()).toBe(true)
  })

  it('gives the system error for a file in the way', async () => {
    await writeFile(join(root, 'file'), '')
    await expect(makeFolder(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(makeFolder(join(root, 'file', 'a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  })

  it.runIf(process.platform === 'linux')('ends where no folder can be made', async () => {
    await expect(makeFolder('/proc/espalier/model')).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
