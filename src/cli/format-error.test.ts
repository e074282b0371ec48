import { describe, expect, it } from 'vitest'
import { foreignByName } from '../checkpoint/foreign-formats.ts'
import { InputError, InterruptedError, toErrorRecord } from '../util/errors.ts'
import { errorDocument, formatError } from './format-error.ts'
import { painter } from './terminal.ts'
import { textWidth } from './text-width.ts'

const plain = { columns: 80, paint: painter(false) }

describe('errors for people', () => {
  it('says what, where and what to do', () => {
    const error = new InputError('LABEL_UNKNOWN', 'Label path not in the tree: "travel › translat"', {
      where: { file: 'data/train.jsonl.gz', line: 1204 },
      help: 'did you mean "travel › translate"?',
    })
    expect(formatError(toErrorRecord(error), plain)).toEqual([
      '✖ Label path not in the tree: "travel › translat"',
      '  data/train.jsonl.gz line 1,204',
      '  did you mean "travel › translate"?',
    ])
  })

  it('takes at most five lines of the terminal, whatever the error says', () => {
    const long = 'word '.repeat(200)
    const error = new InputError('X', long, { where: { file: `${'folder/'.repeat(40)}file` }, help: long })
    const lines = formatError(toErrorRecord(error), plain)
    expect(lines).toHaveLength(5)
    for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(80)
    expect(lines[1]).toMatch(/…$/)
    expect(lines[4]).toMatch(/…$/)
  })

  it('shows the command that converts a pickle file whole', () => {
    const refused = foreignByName('checkpoint/pytorch_model.bin')
    const lines = formatError(toErrorRecord(refused), plain)
    expect(lines.length).toBeLessThanOrEqual(5)
    expect(lines.join(' ')).not.toContain('…')
    expect(lines.at(-1)).toMatch(/"$/)
  })

  it('lets no control character of the input reach the terminal', () => {
    const error = new InputError('X', 'label "\x1b[2J\nx"', { where: { file: 'a\x07' } })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must be absent
    for (const line of formatError(toErrorRecord(error), plain)) expect(line).not.toMatch(/[\x00-\x1f]/)
  })

  it('marks a stop apart from a failure and a fault of the program as such', () => {
    const stopped = new InterruptedError('stopped at epoch 3/10; continue with --resume')
    expect(formatError(toErrorRecord(stopped), plain)).toEqual(['■ stopped at epoch 3/10; continue with --resume'])
    const internal = formatError(toErrorRecord(new TypeError('x is undefined')), plain)
    expect(internal[0]).toBe('✖ Something went wrong inside espalier: x is undefined')
    expect(internal.at(-1)).toMatch(/--debug/)
  })
})

it('errors for programs keep code, place, help and data; the stack only with --debug', () => {
  const error = new InputError('LABEL_UNKNOWN', 'no', {
    where: { file: 'a', line: 1 },
    help: 'h',
    data: { path: ['x'] },
  })
  expect(errorDocument(toErrorRecord(error), false)).toEqual({
    error: {
      code: 'LABEL_UNKNOWN',
      message: 'no',
      exitCode: 2,
      where: { file: 'a', line: 1 },
      help: 'h',
      data: { path: ['x'] },
    },
  })
  expect(errorDocument(toErrorRecord(error), true).error['stack']).toContain('format-error.test.ts')
})
