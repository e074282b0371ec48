/** A disk that fills up: a typed error, exit status 1, and nothing half-written. The disk is a small tmpfs in a mount namespace of its own. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { main } from './espalier.ts'
import { jsonl, tickets, trainedModel } from './tickets.ts'

const { folder, write } = temporaryFolder()
const data = write('train.jsonl', jsonl(tickets))

const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
if (!canMount) console.log('skipped: no space left on a real file system (this system allows no mount namespace)')

function run(script: string, args: string[]) {
  const { status, stdout, stderr } = spawnSync('unshare', [
    '-rm',
    'sh',
    '-c',
    script,
    'sh',
    process.execPath,
    main,
    ...args,
  ])
  return { status, stdout: stdout.toString(), stderr: stderr.toString() }
}

describe('no space left', () => {
  it.skipIf(!canMount)('while a model is written', () => {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const listing = join(folder, 'listing')
    const script = `mount -t tmpfs -o size=24k tmpfs '${disk}' && "$@"; status=$?; ls -A '${disk}' > '${listing}'; exit $status`
    const { status, stdout, stderr } = run(script, ['train', data, '--out', join(disk, 'model'), '--json'])
    expect(status, stderr).toBe(1)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'ENOSPC', help: expect.stringContaining('free some space') })
    // Finished work may wait beside the output for --resume; under the final name stands nothing.
    expect(readFileSync(listing, 'utf8')).toMatch(/^(model\.training\n)?$/)
  })

  it.skipIf(!canMount)('while a report is written: the old page stays', async () => {
    const model = await trainedModel(folder, write)
    const disk = join(folder, 'disk2')
    mkdirSync(disk)
    const kept = join(folder, 'kept')
    const page = join(disk, 'report.html')
    const script = `mount -t tmpfs -o size=24k tmpfs '${disk}' && echo old > '${page}' && "$@"; status=$?; ls -A '${disk}' > '${kept}'; cat '${page}' >> '${kept}'; exit $status`
    const { status, stderr } = run(script, ['evaluate', model, data, '--report', page])
    expect(status).toBe(1)
    expect(stderr).toMatch(/✖ No space left on the disk/)
    expect(readFileSync(kept, 'utf8')).toBe('report.html\nold\n')
  })
})

it.skipIf(!existsSync('/dev/full'))('a full disk behind standard output is told as such', async () => {
  const { status, stderr } = spawnSync('sh', ['-c', '"$@" > /dev/full', 'sh', process.execPath, main, 'systems'])
  expect(status).toBe(1)
  expect(stderr.toString()).toMatch(/^✖ No space left on the disk\n/)
})

describe.skipIf(process.platform === 'win32')('a limit on the size of files', () => {
  it('ends training with a typed error and leaves nothing', () => {
    const out = join(folder, 'limited')
    const limited = spawnSync('sh', [
      '-c',
      'ulimit -f 8; exec "$@"',
      'sh',
      process.execPath,
      main,
      'train',
      data,
      '--out',
      out,
      '--json',
    ])
    expect(limited.status, limited.stderr.toString()).toBe(1)
    expect(JSON.parse(limited.stdout.toString()).error.code).toBe('EFBIG')
    expect(existsSync(out)).toBe(false)
    // With the limit gone, the same command goes on from what was kept.
    const resumed = spawnSync(process.execPath, [main, 'train', data, '--out', out, '--resume'])
    expect(resumed.status, resumed.stderr.toString()).toBe(0)
    expect(existsSync(`${out}.training`)).toBe(false)
  })

  it('does not harm a model that is replaced', async () => {
    const out = join(folder, 'replaced')
    expect(spawnSync(process.execPath, [main, 'train', data, '--out', out, '--seed', '1']).status).toBe(0)
    const limited = spawnSync('sh', [
      '-c',
      'ulimit -f 8; exec "$@"',
      'sh',
      process.execPath,
      main,
      'train',
      data,
      '--out',
      out,
      '--force',
    ])
    expect(limited.status).toBe(1)
    expect(JSON.parse(readFileSync(join(out, 'espalier.json'), 'utf8')).seed).toBe(1)
  })
})
