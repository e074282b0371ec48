import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import {
  EspalierError,
  formatPlace,
  fromErrorRecord,
  InputError,
  InterruptedError,
  RunError,
  toErrorRecord,
} from './errors.ts'
import { parseJson } from './json.ts'
import { didYouMean, nearest } from './suggest.ts'
import { version } from './version.ts'

describe('errors', () => {
  it.each([
    new InputError('LABEL_UNKNOWN', 'no such label', { where: { file: 'a', line: 1 }, help: 'look', data: { n: 1 } }),
    new RunError('LOSS_NAN', 'loss is NaN'),
    new InterruptedError('stopped at step 3'),
  ])('crosses a thread as a record: %s', (error) => {
    const copy = fromErrorRecord(structuredClone(toErrorRecord(error)))
    expect(copy).toBeInstanceOf(error.constructor)
    expect({ ...copy }).toEqual({ ...error })
    expect(copy.message).toBe(error.message)
    expect(EspalierError.is(copy)).toBe(true)
  })

  it('gives system errors their code, a sentence and a place', async () => {
    const error = await readFile('no/such/file').catch(toErrorRecord)
    expect(error).toMatchObject({
      code: 'ENOENT',
      exitCode: 2,
      where: { file: 'no/such/file' },
      help: 'check the path',
    })
  })

  it('marks anything else as internal', () => {
    expect(toErrorRecord(new TypeError('x is not a function'))).toMatchObject({ code: 'INTERNAL', exitCode: 1 })
    expect(EspalierError.is(new Error('x'))).toBe(false)
  })

  it('formats places', () => {
    expect(formatPlace({ file: 'train.jsonl', line: 1204, column: 3 })).toBe('train.jsonl line 1,204, column 3')
    expect(formatPlace({ file: 'm.safetensors', tensor: 'w' })).toBe('m.safetensors › w')
    expect(formatPlace({})).toBe('')
  })
})

describe('suggestions', () => {
  it('finds slips of the hand and nothing else', () => {
    expect(nearest('dare-ties', ['dare_ties', 'ties', 'della'])).toBe('dare_ties')
    expect(nearest('tranlsate', ['transfer', 'translate'])).toBe('translate')
    expect(nearest('zebra', ['transfer', 'translate'])).toBeUndefined()
    expect(didYouMean('flta', ['flat'], 'no')).toBe('did you mean "flat"?')
    expect(didYouMean('zebra', ['flat'], 'no')).toBe('no')
  })
})

describe('parseJson', () => {
  it.each([
    ['{\n "a": \n}', 3, 1],
    ['{"a":1,}', 1, 8],
    ['[1 2]', 1, 4],
    ['"abc', 1, 5],
    ['tru', 1, 4],
    ['{"a":1} x', 1, 9],
  ])('places the fault of %j', (text, line, column) => {
    expect(() => parseJson(text, 'f.json')).toThrow(
      expect.objectContaining({ code: 'JSON_MALFORMED', where: { file: 'f.json', line, column } }),
    )
  })

  it('ignores a byte order mark and refuses emptiness', () => {
    expect(parseJson('\uFEFF[1]', 'f')).toEqual([1])
    expect(() => parseJson(' \n', 'f')).toThrow(expect.objectContaining({ code: 'FILE_EMPTY' }))
  })
})

it('keeps the version equal to package.json', async () => {
  expect(version).toBe(JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')).version)
})
