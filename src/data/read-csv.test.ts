import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { faultOf, temporaryFolder } from '../../test/temporary-folder.ts'
import { EspalierError } from '../util/errors.ts'
import { readDataset } from './dataset.ts'
import type { ReadOptions } from './row.ts'

const { write } = temporaryFolder()
let files = 0
const csv = (content: string | Uint8Array, ending = '.csv') => write(`t${files++}${ending}`, content)
const read = async (content: string | Uint8Array, options: ReadOptions = {}, ending?: string) =>
  (await readDataset(csv(content, ending), options)).collect()

test('quotes, delimiters and newlines inside fields, blank lines, a byte order mark: values and lines are right', async () => {
  const rows = await read('\ufefftext,label\n"a ""b"", c\r\nd",x\n\nplain,y\n "spaced" ,z\n"last",w')
  expect(rows.map(({ text, labels, line }) => [text, labels, line])).toEqual([
    ['a "b", c\r\nd', [['x']], 2],
    ['plain', [['y']], 5],
    ['spaced', [['z']], 6],
    ['last', [['w']], 7],
  ])
})

test.each([
  ['\n', ','],
  ['\r\n', ';'],
  ['\r', '|'],
  ['\n', '\t'],
])('newline %j and delimiter %j are found', async (newline, delimiter) => {
  const lines = [
    ['text', 'label'],
    ['one, two', 'x'],
    ['three', 'y'],
  ].map((cells) => cells.map((cell) => (cell.includes(delimiter) ? `"${cell}"` : cell)).join(delimiter))
  const rows = await read(lines.join(newline) + newline)
  expect(rows.map(({ text, labels, line }) => [text, labels[0]![0], line])).toEqual([
    ['one, two', 'x', 2],
    ['three', 'y', 3],
  ])
})

test('files that mix newlines are read', async () => {
  const rows = await read('text,label\r\na,1\nb,2\rc,3\n')
  expect(rows.map(({ text, line }) => [text, line])).toEqual([
    ['a', 2],
    ['b', 3],
    ['c', 4],
  ])
})

test('tsv, gzip, no quotes, no header', async () => {
  expect((await read('text\tlabel\n5" disk, new\tx\n', {}, '.tsv'))[0]!.text).toBe('5" disk, new')
  expect((await read('text\tlabel\n"so it goes\tx\n', { quote: '' }, '.tsv'))[0]!.text).toBe('"so it goes')
  expect((await read(gzipSync('text,label\na,x\n'), {}, '.csv.gz'))[0]).toMatchObject({ text: 'a', line: 2 })
  const rows = await read('3,a title,a text\n', { header: false, text: ['column2', 'column3'], labels: 'column1' })
  expect(rows[0]).toMatchObject({ text: 'a title\na text', labels: [['3']], line: 1 })
})

test('a table of one column: blank lines are passed over, lines still count', async () => {
  expect((await read('text\na\n\nb\n')).map(({ text, line }) => [text, line])).toEqual([
    ['a', 2],
    ['b', 4],
  ])
})

test('a file whose name looks like a pattern', async () => {
  const path = write("a[1]*?'.csv", 'text\nhello\n')
  expect((await (await readDataset(path)).collect())[0]!.text).toBe('hello')
})

describe('faults name the line', () => {
  const header = 'text,label\n"line 2\nline 3",x\n\n'
  test.each([
    ['too many fields', 'a,b,c\n', 'CSV_RAGGED', 5],
    ['too few fields', 'a\n', 'CSV_RAGGED', 5],
    ['a quoted field without end', 'ok,x\n"open,y\nz,z\n', 'CSV_QUOTE', 6],
    ['a quoted field with something after it', '"a"b,x\n', 'CSV_QUOTE', 5],
    ['an empty text', ',x\n', 'TEXT_EMPTY', 5],
    ['a text of white space', '" \t\n ",x\n', 'TEXT_EMPTY', 5],
    ['a path with a gap', 'a,b > > c\n', 'LABEL_NAME', 5],
  ])('%s', async (_, content, code, line) => {
    const fault = await faultOf(() => read(header + content))
    expect(fault).toMatchObject({ code, exitCode: 2, where: { line } })
    expect(fault.help).toBeTruthy()
  })

  test('Latin-1 bytes: line and column', async () => {
    const content = Buffer.concat([
      Buffer.from(`${header}fine,x\nna\u00efve caf`),
      Buffer.from([0xe9, 0x2c, 0x78, 0x0a]),
    ])
    const fault = await faultOf(() => read(content))
    expect(fault).toMatchObject({ code: 'ENCODING', where: { line: 6, column: 10 }, data: { value: 0xe9, byte: 11 } })
  })

  test('a row beyond the limit', async () => {
    const fault = await faultOf(() => read(`text,label\nok,x\n${'y'.repeat(2_000_000)},x\n`, { maxTextLength: 1000 }))
    expect(fault).toMatchObject({ code: 'LINE_TOO_LONG', where: { line: 3 } })
  })

  test('a text beyond the limit', async () => {
    const fault = await faultOf(() => read(`text,label\nok,x\n${'y'.repeat(2000)},x\n`, { maxTextLength: 1000 }))
    expect(fault).toMatchObject({ code: 'TEXT_TOO_LONG', where: { line: 3 } })
  })

  test('no rows, no text column, two columns of one name, a wrong dialect', async () => {
    expect(await faultOf(() => read('text,label\n'))).toMatchObject({ code: 'DATA_EMPTY' })
    expect(await faultOf(() => read('\n\n'))).toMatchObject({ code: 'DATA_EMPTY' })
    const missing = await faultOf(() => readDataset(csv('txt,label\na,x\n'), { text: 'text' }))
    expect(missing).toMatchObject({ code: 'COLUMN_MISSING', help: 'did you mean "txt"?' })
    expect(missing.message).toContain('"txt", "label"')
    expect(await faultOf(() => read('text,text\na,x\n'))).toMatchObject({ code: 'COLUMN_DUPLICATE' })
    expect(await faultOf(() => read('text\na\n', { delimiter: '::' }))).toMatchObject({ code: 'CSV_DIALECT' })
    expect(await faultOf(() => read('text\na\n', { quote: '€' }))).toMatchObject({ code: 'CSV_DIALECT' })
  })
})

test('faulty rows can be skipped; the others keep their lines', async () => {
  const notes: string[] = []
  const rows = await read('text,label\na,x\nb\n,z\nc,d,e\nf,y\n', {
    onBadRow: 'skip',
    onProgress: ({ note }) => note && notes.push(note),
  })
  expect(rows.map(({ text, line }) => [text, line])).toEqual([
    ['a', 2],
    ['f', 6],
  ])
  expect(notes).toHaveLength(1)
  expect(notes[0]).toMatch(/^skipped 3 rows \(2 CSV_RAGGED, 1 TEXT_EMPTY\); the first: .*line 3/)
})

test('a file larger than the read buffers keeps its values and lines', async () => {
  const texts = Array.from(
    { length: 60_000 },
    (_, index) => `row ${index}${index % 3 === 0 ? ',\n"more"' : ''} ${'x'.repeat(index % 97)}`,
  )
  const lines = texts.map((text, index) => `"${text.replaceAll('"', '""')}",${index % 5}`)
  const rows = await read(`text,label\n${lines.join('\n')}\n`, { maxTextLength: 1000 })
  expect(rows.map(({ text }) => text)).toEqual(texts)
  let line = 2
  for (const [index, row] of rows.entries()) {
    if (row.line !== line) throw new Error(`row ${index}: expected line ${line}, received ${row.line}`)
    line += texts[index]!.includes('\n') ? 2 : 1
  }
})

const cell = fc.string({ unit: fc.constantFrom('a', ' ', ',', ';', '"', '\n', '\r', '\t', 'é', '🌱', "'", '#', '\\') })

test('any values survive a round trip through CSV, whatever the dialect', async () => {
  const dialects = fc.record({
    delimiter: fc.constantFrom(',', ';', '\t', '|', '~'),
    quote: fc.constantFrom('"', "'"),
    newline: fc.constantFrom('\n', '\r\n', '\r'),
    final: fc.boolean(),
    always: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(
      dialects,
      fc.array(
        fc.tuple(
          cell,
          cell.filter((text) => text.trim() !== ''),
        ),
        { minLength: 1, maxLength: 20 },
      ),
      async ({ delimiter, quote, newline, final, always }, table) => {
        const special = [delimiter, quote, '\n', '\r', ' ']
        const quoted = (text: string) =>
          always || special.some((character) => text.includes(character))
            ? `${quote}${text.replaceAll(quote, quote + quote)}${quote}`
            : text
        const lines = [['other', 'text'], ...table].map((cells) => cells.map(quoted).join(delimiter))
        const content = lines.join(newline) + (final ? newline : '')
        const rows = await read(content, { delimiter, quote, text: 'text', id: 'other' })
        expect(rows.map(({ text }) => text)).toEqual(table.map(([, text]) => text))
        expect(rows.map(({ id = '' }) => id)).toEqual(table.map(([other]) => other))
        const starts = lines.map(
          (_, index) => (lines.slice(0, index).join(newline) + newline).split(/\r\n|\r|\n/).length,
        )
        expect(rows.map(({ line }) => line)).toEqual(starts.slice(1))
      },
    ),
    { numRuns: 150 },
  )
})

/** The records of well-formed CSV by a regular expression: an independent reading to compare with. */
function recordsOf(content: string): string[][] {
  const field = / *"((?:[^"]|"")*)" *(?=,|\r|\n|$)|([^,\r\n]*)/y
  const records: string[][] = []
  let at = 0
  while (at < content.length) {
    const record: string[] = []
    const start = at
    for (;;) {
      field.lastIndex = at
      const [whole, quoted, plain] = field.exec(content)!
      record.push(quoted?.replaceAll('""', '"') ?? plain!)
      at += whole.length
      if (content[at] !== ',') break
      at++
    }
    if (at > start) records.push(record)
    at += content.startsWith('\r\n', at) ? 2 : 1
  }
  return records
}

test('on any soup of characters the values are those of an independent reading, or a typed error says what is wrong', async () => {
  const soup = fc.string({ unit: fc.constantFrom('a', 'b', ',', ',', '"', '"', '\n', '\n', '\r', ' '), maxLength: 60 })
  const codes = new Set<string>()
  await fc.assert(
    fc.asyncProperty(soup, async (body) => {
      const content = `text,label\n${body}`
      try {
        const rows = await read(content, { delimiter: ',', onBadRow: 'skip', separator: '' })
        const expected = recordsOf(content)
          .slice(1)
          .filter((record) => record.length === 2 && record[0]!.trim() !== '')
        const values = rows.map(({ text, labels }) => [text, labels[0]?.[0] ?? ''])
        expect(values).toEqual(expected.map(([text, label]) => [text, label!.trim()]))
        codes.add('read')
      } catch (error) {
        if (!EspalierError.is(error)) throw error
        codes.add(error.code)
      }
    }),
    { numRuns: 250 },
  )
  expect([...codes].sort()).toEqual(['CSV_QUOTE', 'DATA_EMPTY', 'read'])
})
