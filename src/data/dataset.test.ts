import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { faultOf, temporaryFolder } from '../../test/temporary-folder.ts'
import type { Progress } from '../util/progress.ts'
import { datasetOf, readDataset } from './dataset.ts'
import type { InputOptions } from './input-file.ts'

const { write } = temporaryFolder()
const clinc = fileURLToPath(new URL('../../data/clinc150/', import.meta.url))
let files = 0
const jsonl = (...lines: (string | object)[]) =>
  write(
    `t${files++}.jsonl`,
    lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''),
  )
const read = async (path: string, options: InputOptions = {}) => (await readDataset(path, options)).collect()

describe('formats', () => {
  test('the bundled set: JSONL, compressed', async () => {
    const rows = await read(`${clinc}train.jsonl.gz`)
    expect(rows).toHaveLength(15_000)
    expect(rows[0]).toEqual({
      text: 'what expression would i use to say i love you if i were an italian',
      labels: [['travel', 'translate']],
      file: `${clinc}train.jsonl.gz`,
      line: 1,
    })
    expect(new Set(rows.map(({ labels }) => labels[0]!.join())).size).toBe(150)
    expect((await read(`${clinc}oos_dev.jsonl.gz`)).every(({ labels }) => labels.length === 0)).toBe(true)
  })

  test('JSONL with blank lines, \\r\\n and a byte order mark', async () => {
    const path = write('crlf.jsonl', '\ufeff{"text":"a","labels":"x","id":7}\r\n\r\n  \r\n{"text":"b"}')
    expect(await read(path)).toEqual([
      { text: 'a', labels: [['x']], id: '7', file: path, line: 1 },
      { text: 'b', labels: [], file: path, line: 4 },
    ])
  })

  test('one JSON list, plain and compressed', async () => {
    const list = JSON.stringify(
      [
        { text: 'a', path: ['x', 'y'] },
        { text: 'b, ]}"', path: 'x > z' },
      ],
      null,
      2,
    )
    for (const path of [write('list.json', list), write('list.json.gz', gzipSync(list))])
      expect((await read(path)).map(({ text, labels, line }) => [text, labels, line])).toEqual([
        ['a', [['x', 'y']], 2],
        ['b, ]}"', [['x', 'z']], 9],
      ])
    expect(await faultOf(() => read(write('empty-list.json', ' [ ] ')))).toMatchObject({ code: 'DATA_EMPTY' })
  })

  test('standard input, read once, hashed on the way', async () => {
    const content = '{"text":"a"}\n{"text":"b","labels":["x"]}\n'
    const data = await readDataset('-', {
      stdin: Readable.from([content.slice(0, 5), content.slice(5)], { objectMode: false }),
    })
    expect(await faultOf(() => data.hash())).toMatchObject({ code: 'STDIN_ONCE' })
    expect(await data.collect()).toEqual([
      { text: 'a', labels: [], file: '-', line: 1 },
      { text: 'b', labels: [['x']], file: '-', line: 2 },
    ])
    const sha256 = createHash('sha256').update(content).digest('hex')
    expect(await data.hash()).toEqual([{ file: '-', bytes: content.length, sha256 }])
    expect(await faultOf(() => data.collect())).toMatchObject({ code: 'STDIN_ONCE' })
  })

  test('the first rows of a pipe that stays open arrive', async () => {
    const pipe = new Readable({ read() {} })
    const rows = (await readDataset('-', { stdin: pipe }))[Symbol.asyncIterator]()
    pipe.push('{"text":"first"}\n')
    expect((await rows.next()).value).toMatchObject({ text: 'first' })
    pipe.push('{"text":"sec')
    pipe.push('ond"}\n')
    expect((await rows.next()).value).toMatchObject({ text: 'second' })
    await rows.return?.()
    expect(pipe.destroyed).toBe(true)
  })

  test('several files keep their order and names; --format overrides the extension', async () => {
    const one = write('one.txt', '{"text":"a"}\n')
    const two = write('two.txt', '{"text":"b"}\n')
    const data = await readDataset([two, one], { format: 'jsonl' })
    expect((await data.collect()).map(({ text, file }) => [text, file])).toEqual([
      ['b', two],
      ['a', one],
    ])
    expect(await data.hash()).toEqual(
      [two, one].map((file) => ({
        file,
        bytes: 13,
        sha256: createHash('sha256').update(readFileSync(file)).digest('hex'),
      })),
    )
  })

  test('a data set can be iterated again', async () => {
    const data = await readDataset(jsonl({ text: 'a' }, { text: 'b' }))
    expect(await data.collect()).toEqual(await data.collect())
  })
})

describe('columns', () => {
  test('common names are found, whatever their case', async () => {
    expect(await read(jsonl({ Sentence: 'a', Category: 'x' }))).toMatchObject([{ text: 'a', labels: [['x']] }])
  })

  test('named columns win; several texts are joined; several labels form a path; none can be asked for', async () => {
    const path = jsonl(
      { text: 'no', title: 'T', body: 'B', area: 'x', topic: 'y', label: 'no' },
      { title: '', body: 'C', area: 'x', topic: '' },
    )
    expect(await read(path, { text: ['title', 'body'], labels: ['area', 'topic'] })).toMatchObject([
      { text: 'T\nB', labels: [['x', 'y']] },
      { text: 'C', labels: [['x']] },
    ])
    expect(await read(path, { text: 'body', labels: [] })).toMatchObject([{ labels: [] }, { labels: [] }])
  })

  test('labels may begin after the first row; required ones must come', async () => {
    const late = jsonl({ text: 'a' }, { text: 'b', label: 'x' })
    expect(await read(late, { requireLabels: true })).toMatchObject([{ labels: [] }, { labels: [['x']] }])
    const never = await faultOf(() => read(jsonl({ text: 'a', lbl: 'x' }), { requireLabels: true }))
    expect(never).toMatchObject({ code: 'COLUMN_MISSING', data: { wanted: 'labels' } })
    expect(never.message).toContain('"lbl"')
  })
})

describe('faulty rows name file and line', () => {
  const good = { text: 'fine', labels: ['x'] }
  test.each<[string, string | object, string, object, InputOptions?]>([
    ['malformed JSON', '{"text": "a", "labels": x}', 'JSON_MALFORMED', { line: 2, column: 25 }],
    ['JSON cut short', '{"text": "a"', 'JSON_MALFORMED', { line: 2, column: 13 }],
    ['a list instead of a row', '["a", "x"]', 'ROW_TYPE', { line: 2 }],
    ['a bare text', '"a"', 'ROW_TYPE', { line: 2 }],
    ['no text', { txt: 'a' }, 'TEXT_MISSING', { line: 2 }],
    ['null as text', { text: null }, 'TEXT_MISSING', { line: 2, key: 'text' }],
    ['a number as text', { text: 5 }, 'TEXT_TYPE', { line: 2, key: 'text' }],
    ['an empty text', { text: '' }, 'TEXT_EMPTY', { line: 2, key: 'text' }],
    ['a text of white space', { text: ' \t\u3000\n' }, 'TEXT_EMPTY', { line: 2, key: 'text' }],
    ['a text of 10 MB', { text: 'x'.repeat(10_000_000) }, 'LINE_TOO_LONG', { line: 2 }],
    ['a text beyond the limit', { text: 'x'.repeat(1_000_001) }, 'TEXT_TOO_LONG', { line: 2, key: 'text' }],
    ['a label of the wrong type', { text: 'a', labels: { x: 1 } }, 'LABEL_TYPE', { line: 2, key: 'labels' }],
    ['an empty name in a path', { text: 'a', labels: [['x', '']] }, 'LABEL_NAME', { line: 2, key: 'labels' }],
    ['an id that is none', { text: 'a', id: {} }, 'ID_TYPE', { line: 2, key: 'id' }],
  ])('%s', async (_, line, code, where) => {
    const path = jsonl(good, line, good)
    const fault = await faultOf(() => read(path))
    expect(fault).toMatchObject({ name: 'InputError', code, exitCode: 2, where: { file: path, ...where } })
    expect(fault.help).toMatch(/\w/)
    expect(await read(path, { onBadRow: 'skip' })).toMatchObject([{ line: 1 }, { line: 3 }])
  })

  test('mixed encodings: the byte and the line', async () => {
    const path = write(
      'latin1.jsonl',
      Buffer.concat([Buffer.from('{"text":"é"}\n{"text":"'), Buffer.from([0xe9]), Buffer.from('"}\n{"text":"b"}\n')]),
    )
    expect(await faultOf(() => read(path))).toMatchObject({
      code: 'ENCODING',
      where: { file: path, line: 2, column: 10 },
    })
    expect(await read(path, { onBadRow: 'skip' })).toMatchObject([{ line: 1 }, { line: 3 }])
  })

  test('rows before the faulty one are given', async () => {
    const seen: string[] = []
    const fault = await faultOf(async () => {
      for await (const { text } of await readDataset(jsonl({ text: 'a' }, { text: 'b' }, '{'))) seen.push(text)
    })
    expect(fault.code).toBe('JSON_MALFORMED')
    expect(seen).toEqual(['a', 'b'])
  })

  test('in a .json list, lines count within the file', async () => {
    const path = write('bad-list.json', '[\n {"text": "a"},\n {"text": "b",\n  "labels": y}\n]')
    expect(await faultOf(() => read(path))).toMatchObject({ code: 'JSON_MALFORMED', where: { line: 4, column: 13 } })
  })

  test.each([
    ['[{"text":"a"}', 'JSON_MALFORMED'],
    ['[{"text":"a"},]', 'JSON_MALFORMED'],
    ['[{"text":"a"}] []', 'JSON_MALFORMED'],
    ['[{"text":"a"}}]', 'JSON_MALFORMED'],
    ['{"text":"a"}', 'JSON_SHAPE'],
  ])('the list %s', async (content, code) => {
    expect(await faultOf(() => read(write(`l${files++}.json`, content)))).toMatchObject({ code, where: { line: 1 } })
  })

  test('empty texts can be skipped alone, and be an error alone', async () => {
    const path = jsonl({ text: 'a' }, { text: ' ' }, '{')
    expect(await faultOf(() => read(path, { onEmptyText: 'skip' }))).toMatchObject({ where: { line: 3 } })
    const both = { onBadRow: 'skip', onEmptyText: 'error' } as const
    expect(await faultOf(() => read(path, both))).toMatchObject({ code: 'TEXT_EMPTY', where: { line: 2 } })
    expect(await read(path, { onBadRow: 'skip' })).toHaveLength(1)
    expect(await faultOf(() => read(jsonl('{', '}'), { onBadRow: 'skip' }))).toMatchObject({
      code: 'DATA_EMPTY',
      help: expect.stringContaining('skipped 2 rows'),
    })
  })
})

describe('faulty files are told at once', () => {
  const train = readFileSync(`${clinc}train.jsonl.gz`)
  test.each<[string, () => string, string, InputOptions?]>([
    ['an empty file', () => write('empty.jsonl', ''), 'FILE_EMPTY'],
    ['an unknown extension', () => write('data.xlsx', 'PK'), 'FORMAT_UNKNOWN'],
    ['no extension', () => write('data', '{}'), 'FORMAT_UNKNOWN'],
    ['compressed Parquet', () => write('data.parquet.gz', 'x'), 'FORMAT_UNKNOWN'],
    ['gzip data under .jsonl', () => write('zipped.jsonl', train), 'FORMAT_MISMATCH'],
    ['text under .gz', () => write('plain.jsonl.gz', '{"text":"a"}'), 'FORMAT_MISMATCH'],
    ['Parquet under .csv', () => write('parquet.csv', 'PAR1\x15\x00'), 'FORMAT_MISMATCH'],
    ['text under .parquet', () => write('text.parquet', 'text\na\n'), 'FORMAT_MISMATCH'],
    ['a workbook under .csv', () => write('book.csv', 'PK\x03\x04\x14\x00'), 'FORMAT_MISMATCH'],
    ['UTF-16 with a mark', () => write('wide.csv', Buffer.from('\ufefftext\na\n', 'utf16le')), 'ENCODING'],
    ['UTF-16 without a mark', () => write('wide2.csv', Buffer.from('text\na\n', 'utf16le')), 'ENCODING'],
    ['Parquet from standard input', () => '-', 'FORMAT_UNKNOWN', { format: 'parquet' }],
    ['a device', () => '/dev/null', 'NOT_A_FILE'],
  ])('%s', async (_, make, code, options) => {
    const path = make()
    const fault = await faultOf(() => readDataset(path, options))
    expect(fault).toMatchObject({ name: 'InputError', code, exitCode: 2 })
    expect(fault.help).toMatch(/\w/)
    if (path !== '-') expect(fault.where.file).toBe(path)
  })

  test('an unknown format lists those accepted', async () => {
    const fault = await faultOf(() =>
      readDataset('x', { format: 'jsnl' as 'jsonl' }).catch((error) => Promise.reject(error)),
    )
    expect(fault.code).toBe('ENOENT')
    const path = write('format.jsonl', '{}')
    expect(await faultOf(() => readDataset(path, { format: 'jsnl' as 'jsonl' }))).toMatchObject({
      code: 'FORMAT_UNKNOWN',
      help: 'did you mean "jsonl"?',
    })
  })

  test('gzip data cut short or damaged', async () => {
    const cut = write('cut.jsonl.gz', train.subarray(0, train.length / 2))
    expect(await faultOf(() => read(cut))).toMatchObject({ code: 'GZIP_TRUNCATED', exitCode: 2, where: { file: cut } })
    const bytes = Buffer.from(train)
    bytes.fill(0xff, 80_000, 80_100)
    expect(await faultOf(() => read(write('damaged.jsonl.gz', bytes)))).toMatchObject({
      code: expect.stringMatching(/^GZIP_MALFORMED$|^JSON_MALFORMED$|^ENCODING$/),
      exitCode: 2,
    })
  })

  test('only blank lines, or nothing on standard input', async () => {
    expect(await faultOf(() => read(write('blank.jsonl', '\n \n')))).toMatchObject({ code: 'DATA_EMPTY' })
    expect(await faultOf(() => read('-', { stdin: Readable.from([]) }))).toMatchObject({
      code: 'DATA_EMPTY',
      where: { file: '-' },
    })
  })
})

describe('long readings', () => {
  test('progress counts bytes up to the total, and rows', async () => {
    const seen: Progress[] = []
    await read(`${clinc}train.jsonl.gz`, { onProgress: (progress) => seen.push(progress) })
    expect(seen.at(-1)).toEqual({
      step: 'read train.jsonl.gz',
      done: 163_271,
      total: 163_271,
      unit: 'bytes',
      metrics: { rows: 15_000 },
    })
    const done = seen.map((progress) => progress.done)
    expect(done).toEqual([...done].sort((a, b) => a - b))
  })

  test('an abort ends the reading with InterruptedError, also while it waits for input', async () => {
    const controller = new AbortController()
    const data = await readDataset(`${clinc}train.jsonl.gz`, { signal: controller.signal })
    const fault = await faultOf(async () => {
      for await (const { line } of data) if (line === 10) controller.abort()
    })
    expect(fault.code).toBe('INTERRUPTED')
    const waiting = new AbortController()
    const pipe = await readDataset('-', { stdin: new Readable({ read() {} }), signal: waiting.signal })
    setTimeout(() => waiting.abort(), 10)
    expect(await faultOf(() => pipe.collect())).toMatchObject({ code: 'INTERRUPTED' })
    expect(await faultOf(() => readDataset('x.jsonl', { signal: waiting.signal }))).toMatchObject({
      code: 'INTERRUPTED',
    })
  })

  test('the reader does not run ahead of its consumer', async () => {
    let given = 0
    const line = Buffer.from(`${JSON.stringify({ text: 'x'.repeat(1000) })}\n`)
    const endless = Readable.from(
      (function* () {
        for (;;) {
          given++
          yield line
        }
      })(),
      { objectMode: false },
    )
    let taken = 0
    for await (const _ of await readDataset('-', { stdin: endless })) if (++taken === 50) break
    expect(taken).toBe(50)
    expect(given).toBeLessThan(200)
  })
})

describe('rows in memory', () => {
  test('labels in any form; the count is known; the hash depends on the content', async () => {
    const data = datasetOf([
      { text: 'a', labels: 'x > y' },
      { text: 'b', labels: [['x'], ['z']], id: 3 },
      { text: 'c' },
    ])
    expect(data.count).toBe(3)
    expect(await data.collect()).toEqual([
      { text: 'a', labels: [['x', 'y']], file: 'memory', line: 1 },
      { text: 'b', labels: [['x'], ['z']], id: '3', file: 'memory', line: 2 },
      { text: 'c', labels: [], file: 'memory', line: 3 },
    ])
    const seen: string[] = []
    for await (const { text } of data) seen.push(text)
    expect(seen).toEqual(['a', 'b', 'c'])
    const [one] = await data.hash()
    const [two] = await datasetOf([{ text: 'a' }]).hash()
    expect(one!.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(one!.sha256).not.toBe(two!.sha256)
  })

  test('rows read from a file keep their place', async () => {
    const rows = await read(jsonl({ text: 'a', labels: [['x', 'y']] }, { text: 'b', id: 4 }))
    expect(await datasetOf(rows.slice(1)).collect()).toEqual(rows.slice(1))
  })

  test('faults name the row', async () => {
    const fault = await faultOf(() => datasetOf([{ text: 'a' }, { text: ' ' }]).collect())
    expect(fault).toMatchObject({ code: 'TEXT_EMPTY', where: { file: 'memory', line: 2 } })
    expect(await faultOf(() => datasetOf([]).collect())).toMatchObject({ code: 'DATA_EMPTY' })
  })
})
