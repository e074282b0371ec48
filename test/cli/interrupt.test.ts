/** Ctrl-C: the first signal stops in order and keeps what can be resumed, the second ends the process at once. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, failure, filesBelow, repository, start } from './espalier.ts'

const { folder, write } = temporaryFolder()
const rows = gunzipSync(readFileSync(join(repository, 'data/clinc150/train.jsonl.gz')))
  .toString()
  .split('\n')
// Every second row: long enough to be interrupted, short enough for a test.
const data = write('data.jsonl', rows.filter((line, index) => line !== '' && index % 2 === 0).join('\n'))

/** Starts training and resolves once training proper has reported progress. */
async function startTraining(out: string) {
  const { child, result } = start(['train', data, '--out', out, '--json'])
  await new Promise<void>((resolve) => {
    let seen = ''
    child.stderr!.on('data', (chunk: Buffer) => {
      seen += chunk
      if (/"step":"train[^}]*"done":[1-9]/.test(seen)) resolve()
    })
    void result.then(() => resolve())
  })
  return { child, result }
}

describe('an interrupted training run', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'stops in order at %s, and --resume gives the bytes of an uninterrupted run',
    async (signal) => {
      const out = join(folder, signal)
      const { child, result } = await startTraining(out)
      child.kill(signal)
      const { status, stdout, stderr } = await result
      expect(status, stderr + stdout).toBe(1)
      const { error } = JSON.parse(stdout)
      expect(error).toMatchObject({ code: 'INTERRUPTED', exitCode: 1 })
      expect(error.message).toMatch(/^stopped at .*; continue with --resume$/)
      expect(existsSync(out)).toBe(false)
      expect(await failure(['train', data, '--out', out])).toMatchObject({ code: 'RUN_WAITING' })
      expect(await failure(['train', data, '--out', out, '--resume', '--seed', '1'])).toMatchObject({
        code: 'RESUME_MISMATCH',
      })
      await document(['train', data, '--out', out, '--resume'])
      const whole = join(folder, 'whole')
      if (!existsSync(whole)) await document(['train', data, '--out', whole])
      for (const name of ['model.safetensors', 'classifier.json', 'labels.json'])
        expect(readFileSync(join(out, name)).equals(readFileSync(join(whole, name))), name).toBe(true)
      expect(filesBelow(folder).filter((name) => /\.training|\.tmp-/.test(name))).toEqual([])
    },
    120_000,
  )

  it('ends at once at the second signal', async () => {
    const { child, result } = await startTraining(join(folder, 'twice'))
    child.kill('SIGINT')
    child.kill('SIGTERM')
    child.kill('SIGINT')
    const { status } = await result
    expect([1, 130, 143]).toContain(status)
    expect(existsSync(join(folder, 'twice'))).toBe(false)
  })
})

it('waiting for standard input can be interrupted', async () => {
  const { child, result } = start(['inspect', '-', '--json'], { hold: true })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  child.kill('SIGINT')
  const { status, stdout } = await result
  expect(status).toBe(1)
  expect(JSON.parse(stdout).error.code).toBe('INTERRUPTED')
})
