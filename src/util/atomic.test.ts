import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkOutputFolder, recordFile, writeFileAtomic, writeFolderAtomic } from './atomic.ts'

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'espalier-atomic-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

describe('writeFileAtomic', () => {
  it('replaces a file and leaves no temporary', async () => {
    const file = join(root, 'deep', 'a.txt')
    await writeFileAtomic(file, 'one')
    await writeFileAtomic(file, 'two')
    expect(await readFile(file, 'utf8')).toBe('two')
    expect(await readdir(join(root, 'deep'))).toEqual(['a.txt'])
  })

  it('gives a typed error and leaves nothing when it cannot write', async () => {
    await writeFile(join(root, 'file'), '')
    await expect(writeFileAtomic(join(root, 'file', 'a.txt'), 'x')).rejects.toMatchObject({ name: 'InputError' })
    await mkdir(join(root, 'taken', 'inside'), { recursive: true })
    await expect(writeFileAtomic(join(root, 'taken'), 'x')).rejects.toThrow()
    await expect(writeFileAtomic(join(root, 'taken'), 'x')).rejects.toMatchObject({
      where: { file: join(root, 'taken') },
    })
    expect((await readdir(root)).sort()).toEqual(['file', 'taken'])
  })
})

describe('writeFolderAtomic', () => {
  const fill = (content: string) => async (folder: string) => {
    await writeFile(join(folder, recordFile), '{}')
    await writeFile(join(folder, 'data'), content)
  }

  it('removes what a killed process left of the same folder, and nothing else', async () => {
    const out = join(root, 'out')
    let own = ''
    await writeFolderAtomic(out, {}, async (folder) => {
      own = folder
      await fill('x')(folder)
    })
    const [, machine] = /tmp-([0-9a-f]{8})-\d+-[0-9a-f]{8}$/.exec(own)!
    const ended = spawnSync(process.execPath, ['-e', '']).pid
    const left = `.out.tmp-${machine}-${ended}-00000000`
    const others = [
      `.out.tmp-${machine}-${process.pid}-00000000`, // of a running process
      `.out.tmp-00000000-${ended}-00000000`, // of another machine
      `.out2.tmp-${machine}-${ended}-00000000`, // of another folder
      `.out.tmp-${machine}-${ended}-mine`,
      '.out.tmp',
    ]
    for (const name of [left, ...others]) await mkdir(join(root, name, 'inside'), { recursive: true })
    await expect(writeFolderAtomic(out, { force: true }, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await readdir(root)).toContain(left)
    await writeFolderAtomic(out, { force: true }, fill('y'))
    expect((await readdir(root)).sort()).toEqual([...others, 'out'].sort())
  })

  it('refuses to replace a folder without force, and then only its own', async () => {
    const out = join(root, 'out')
    await writeFolderAtomic(out, {}, fill('one'))
    await expect(writeFolderAtomic(out, {}, fill('two'))).rejects.toMatchObject({ code: 'OUT_EXISTS', exitCode: 2 })
    await writeFolderAtomic(out, { force: true }, fill('two'))
    expect(await readFile(join(out, 'data'), 'utf8')).toBe('two')
    const foreign = join(root, 'foreign')
    await mkdir(foreign)
    await writeFile(join(foreign, 'precious'), 'keep me')
    await expect(writeFolderAtomic(foreign, { force: true }, fill('two'))).rejects.toMatchObject({ code: 'OUT_EXISTS' })
    expect(await readFile(join(foreign, 'precious'), 'utf8')).toBe('keep me')
    expect((await readdir(root)).sort()).toEqual(['foreign', 'out'])
  })

  it('never takes an empty name for the current folder', async () => {
    await expect(writeFolderAtomic('', { force: true }, fill('one'))).rejects.toMatchObject({ code: 'USAGE' })
    await expect(checkOutputFolder('')).rejects.toMatchObject({ code: 'USAGE', exitCode: 2 })
  })

  it('does not delete what others put into its folder', async () => {
    const out = join(root, 'out')
    await writeFolderAtomic(out, {}, fill('one'))
    await mkdir(join(out, 'notes'))
    await writeFile(join(out, 'notes', 'mine.txt'), 'keep me')
    await expect(writeFolderAtomic(out, { force: true }, fill('two'))).rejects.toMatchObject({
      code: 'OUT_EXISTS',
      where: { file: join(out, 'notes/mine.txt') },
    })
    expect(await readFile(join(out, 'notes', 'mine.txt'), 'utf8')).toBe('keep me')
  })

  it('refuses a folder that appeared while it was writing', async () => {
    const out = join(root, 'out')
    const meanwhile = async (folder: string) => {
      await fill('one')(folder)
      await mkdir(out)
      await writeFile(join(out, 'precious'), 'keep me')
    }
    await expect(writeFolderAtomic(out, { force: true }, meanwhile)).rejects.toMatchObject({ code: 'OUT_EXISTS' })
    expect(await readdir(root)).toEqual(['out'])
    expect(await readFile(join(out, 'precious'), 'utf8')).toBe('keep me')
  })

  it('keeps the old folder and removes the temporary when writing fails', async () => {
    const out = join(root, 'out')
    await writeFolderAtomic(out, {}, fill('one'))
    const full = Object.assign(new Error('disk full'), { code: 'ENOSPC' }) // as of a write, which names no path
    const failing = async (folder: string) => {
      await writeFile(join(folder, 'half'), 'x')
      throw full
    }
    await expect(writeFolderAtomic(out, { force: true }, failing)).rejects.toMatchObject({
      code: 'ENOSPC',
      exitCode: 1,
      where: { file: out },
    })
    expect(await readFile(join(out, 'data'), 'utf8')).toBe('one')
    expect(await readdir(root)).toEqual(['out'])
  })

  it('fills an empty folder, and refuses a file', async () => {
    await mkdir(join(root, 'empty'))
    await writeFolderAtomic(join(root, 'empty'), {}, fill('one'))
    expect(await readFile(join(root, 'empty', 'data'), 'utf8')).toBe('one')
    await writeFile(join(root, 'file'), '')
    await expect(checkOutputFolder(join(root, 'file'))).rejects.toMatchObject({ code: 'OUT_EXISTS' })
  })
})
