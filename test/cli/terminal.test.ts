/** On a terminal (a pseudo-terminal made by `script`): a moving line that vanishes, colours, 80 columns. In a pipe: neither. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { textWidth } from '../../src/cli/text-width.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { espalier, main, repository } from './espalier.ts'
import { jsonl, tickets, trainedModel } from './tickets.ts'

const { folder, write } = temporaryFolder()
const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0
if (!hasScript) console.log('skipped: output on a terminal (there is no util-linux `script` here to make one)')

let model = ''
beforeAll(async () => {
  model = await trainedModel(folder, write)
})

/** Runs a command line on a pseudo-terminal of 80 columns; stdout and stderr arrive together, as a person sees them. */
function onTerminal(words: string[], env: Record<string, string> = {}): string {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...rest } = process.env
  const command = `stty cols 80; exec ${[process.execPath, main, ...words].map((word) => `'${word}'`).join(' ')}`
  const { stdout, status } = spawnSync('script', ['-qec', command, '/dev/null'], {
    env: { ...rest, TERM: 'xterm', ...env },
  })
  expect(status, stdout.toString()).toBe(0)
  return stdout.toString().replaceAll('\r\n', '\n')
}

describe.skipIf(!hasScript)('on a terminal', () => {
  it('training shows one moving line within 80 columns, and takes it away', () => {
    const rows = gunzipSync(readFileSync(join(repository, 'data/clinc150/dev.jsonl.gz'))).toString()
    const seen = onTerminal(['train', write('rows.jsonl', rows), '--out', join(folder, 'seen')])
    const drawn = seen.split('\r').filter((part) => part.endsWith('\x1b[K'))
    expect(drawn.some((part) => /^[a-z ]+ {2}\S*█/.test(part))).toBe(true)
    for (const part of drawn) expect(textWidth(part.replace('\x1b[K', ''))).toBeLessThan(80)
    const result = seen.slice(seen.lastIndexOf('\r\x1b[K') + 4)
    expect(result).toMatch(/^\S*model/)
    expect(result).toContain('next')
  })

  it('answers are in colour and fit, however long the text', () => {
    const long = 'where is my refund and '.repeat(20)
    const seen = onTerminal(['predict', model, long, '返金はどこですか'.repeat(12)])
    expect(seen).toContain('\x1b[1mbilling › refund\x1b[22m')
    const lines = seen.trimEnd().split('\n')
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(80)
    expect(onTerminal(['predict', model, 'refund'], { NO_COLOR: '1' })).not.toContain('\x1b[')
    expect(onTerminal(['predict', model, 'refund'], { TERM: 'dumb' })).not.toContain('\x1b[')
  })
})

it('in a pipe there is no colour and no moving line, unless colour is forced', async () => {
  const data = write('pipe.jsonl', jsonl(tickets))
  const { stdout, stderr } = await espalier(['evaluate', model, data])
  expect(stdout + stderr).not.toContain('\x1b')
  expect(stderr).toBe('')
  const forced = await espalier(['predict', model, 'refund'], { env: { FORCE_COLOR: '1' } })
  expect(forced.stdout).toContain('\x1b[1mbilling')
})
