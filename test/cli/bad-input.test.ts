/** The contract for bad input: every case is a typed error that names file and place, with exit status 2, and nothing half-written remains. */
import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { type Failure, failure, filesBelow } from './espalier.ts'
import { jsonl, labelsJson, tickets, tinyBert, trainedModel } from './tickets.ts'

const { folder, write } = temporaryFolder()
const good = write('good.jsonl', jsonl(tickets))
const lines = (count: number) => jsonl(tickets.slice(0, count))

let before: string[] = []
beforeEach(() => {
  before = filesBelow(folder)
})
const sameFiles = () => expect(filesBelow(folder)).toEqual(before)

/** Trains on a file of the given content; the run must fail and leave no trace. */
async function trainOn(name: string, content: string | Uint8Array, more: string[] = []): Promise<Failure> {
  const file = write(name, content)
  before = filesBelow(folder)
  const error = await failure(['train', file, '--out', join(folder, 'out'), ...more])
  sameFiles()
  return error
}

describe('data', () => {
  afterEach(sameFiles)

  it('a missing file', async () => {
    const missing = join(folder, 'god.jsonl')
    const error = await failure(['train', missing, '--out', join(folder, 'out')])
    expect(error).toMatchObject({ code: 'ENOENT', where: { file: missing }, help: 'did you mean "good.jsonl"?' })
  })

  it.each<[string, string, string | Uint8Array, Partial<Failure>]>([
    ['an empty file', 'empty.jsonl', '', { code: 'FILE_EMPTY' }],
    ['only blank lines', 'blank.jsonl', '\n\n \n', { code: 'DATA_EMPTY' }],
    ['a wrong extension', 'data.xlsx', 'x', { code: 'FORMAT_UNKNOWN', help: expect.stringContaining('.csv') }],
    ['a name that belies the content', 'zipped.jsonl', gzipSync(lines(3)), { code: 'FORMAT_MISMATCH' }],
    ['a false .gz', 'plain.jsonl.gz', lines(3), { code: 'FORMAT_MISMATCH' }],
    ['gzip cut short', 'short.jsonl.gz', gzipSync(lines(90)).subarray(0, 200), { code: 'GZIP_TRUNCATED' }],
    [
      'malformed JSON',
      'bad.jsonl',
      `${lines(2)}{"text": "x", "labels": [["a"]\n${lines(2)}`,
      { code: 'JSON_MALFORMED', where: { line: 3 } },
    ],
    ['a JSON list cut short', 'cut.json', '[{"text": "a", "labels": [["x"]]},', { code: 'JSON_MALFORMED' }],
    [
      'a CSV row with too few fields',
      'bad.csv',
      'text,label\none,a\ntwo\nthree,b\n',
      { code: 'CSV_RAGGED', where: { line: 3 } },
    ],
    ['an unclosed quote in CSV', 'quote.csv', 'text,label\n"one,a\ntwo,b\n', { code: 'CSV_QUOTE', where: { line: 2 } }],
    ['what is not Parquet', 'bad.parquet', 'hello, this is text', { code: 'FORMAT_MISMATCH' }],
    [
      'damaged Parquet',
      'damaged.parquet',
      'PAR1 and then nothing that makes sense PAR1',
      { code: 'PARQUET_MALFORMED' },
    ],
    [
      'a text of white space',
      'white.jsonl',
      `${lines(4)}{"text": " \\t ", "labels": [["a"]]}\n`,
      { code: 'TEXT_EMPTY', where: { line: 5 } },
    ],
    [
      'a missing text',
      'missing.jsonl',
      `${lines(1)}{"labels": [["a"]]}\n`,
      { code: 'TEXT_MISSING', where: { line: 2 } },
    ],
    [
      'a text that is a number',
      'number.jsonl',
      `${lines(1)}{"text": 5, "labels": [["a"]]}\n`,
      { code: 'TEXT_TYPE', where: { line: 2 } },
    ],
    [
      'a text of 10 MB',
      'long.jsonl',
      `${lines(1)}{"text": "${'long '.repeat(2_000_000)}", "labels": [["a"]]}\n`,
      { where: { line: 2 } },
    ],
    [
      'Latin-1 among UTF-8',
      'mixed.jsonl',
      Buffer.concat([Buffer.from(lines(2)), Buffer.from('{"text": "caf\xe9", "labels": [["a"]]}\n', 'latin1')]),
      { code: 'ENCODING', where: { line: 3 } },
    ],
    ['UTF-16', 'utf16.csv', Buffer.from('\ufefftext,label\na,b\n', 'utf16le'), { code: 'ENCODING' }],
    [
      'a label that is no name',
      'label.jsonl',
      `${lines(1)}{"text": "a", "labels": [[{"x": 1}]]}\n`,
      { code: 'LABEL_TYPE', where: { line: 2 } },
    ],
    [
      'an empty label name',
      'name.jsonl',
      `${lines(1)}{"text": "a", "labels": [["a", ""]]}\n`,
      { code: 'LABEL_NAME', where: { line: 2 } },
    ],
    ['no column of labels', 'bare.jsonl', '{"text": "a", "kind": "b"}\n', { code: 'COLUMN_MISSING' }],
    ['one label only', 'one.jsonl', jsonl(tickets.slice(0, 5)), { code: 'LABELS_ONE' }],
  ])('%s', async (_, name, content, expected) => {
    const error = await trainOn(name, content)
    expect(error).toMatchObject({ ...expected, where: { file: join(folder, name), ...expected.where } })
    if (name === 'long.jsonl') expect(error.code).toMatch(/TOO_LONG$/)
  })

  it('a label that is not in the tree', async () => {
    const labels = write('labels.json', labelsJson)
    const error = await trainOn(
      'unknown.jsonl',
      `${lines(2)}${jsonl([{ text: 'x', labels: [['billing', 'refnd']] }])}`,
      ['--labels', labels],
    )
    expect(error).toMatchObject({
      code: 'LABEL_UNKNOWN',
      where: { file: join(folder, 'unknown.jsonl'), line: 3 },
      help: 'did you mean "billing › refund"?',
    })
  })
})

describe('label trees', () => {
  it.each<[string, string, Partial<Failure>]>([
    ['empty', '{"name": "root", "children": []}', { code: 'TREE_EMPTY' }],
    ['cyclic', '{"a": "b", "b": "c", "c": "a"}', { code: 'TREE_CYCLE', message: expect.stringContaining('→') }],
    [
      'with duplicate siblings',
      '{"name": "root", "children": [{"name": "a"}, {"name": "a"}]}',
      { code: 'LABEL_DUPLICATE' },
    ],
    ['malformed', '{"name": "root",\n "children": [}', { code: 'JSON_MALFORMED', where: { line: 2, column: 15 } }],
    ['of no known form', '42', { code: 'TREE_FORMAT' }],
    ['without a file', '', { code: 'FILE_EMPTY' }],
  ])('%s', async (_, content, expected) => {
    const file = write('tree.json', content)
    before = filesBelow(folder)
    const error = await failure(['train', good, '--labels', file, '--out', join(folder, 'out')])
    expect(error).toMatchObject({ ...expected, where: { file, ...expected.where } })
    expect(await failure(['inspect', file])).toMatchObject({ code: error.code })
    sameFiles()
  })
})

describe('models', () => {
  let model = ''
  beforeAll(async () => {
    model = await trainedModel(folder, write)
  })

  /** A copy of the trained model with one file changed. */
  function damaged(name: string, file: string, change: (path: string) => void): string {
    const copy = join(folder, name)
    cpSync(model, copy, { recursive: true })
    change(join(copy, file))
    return copy
  }
  const edit = (change: (json: Record<string, unknown>) => unknown) => (path: string) =>
    writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))))

  it('truncated safetensors', async () => {
    const copy = damaged('truncated', 'model.safetensors', (path) =>
      truncateSync(path, readFileSync(path).length - 100),
    )
    const error = await failure(['predict', copy, 'text'])
    expect(error).toMatchObject({ code: 'SAFETENSORS_TRUNCATED', where: { file: join(copy, 'model.safetensors') } })
    expect(error.message + error.help).toMatch(/\d{3} bytes/)
  })

  it('safetensors that are something else', async () => {
    const copy = damaged('garbage', 'model.safetensors', (path) =>
      writeFileSync(path, 'not a model at all, but long enough'),
    )
    expect((await failure(['predict', copy, 'text'])).where).toMatchObject({ file: join(copy, 'model.safetensors') })
  })

  it('a config that is malformed, and a tree that does not fit', async () => {
    const config = damaged('config', 'config.json', (path) => writeFileSync(path, '{"model_type": '))
    expect(await failure(['predict', config, 'text'])).toMatchObject({ code: 'JSON_MALFORMED' })
    const tree = damaged('tree', 'labels.json', (path) => writeFileSync(path, '["a", "b"]'))
    expect(await failure(['predict', tree, 'text'])).toMatchObject({ code: 'CLASSIFIER_FORMAT' })
    const settings = damaged(
      'settings',
      'classifier.json',
      edit((json) => ({ ...json, temperature: 0 })),
    )
    expect(await failure(['predict', settings, 'text'])).toMatchObject({
      code: 'CLASSIFIER_FORMAT',
      where: { file: join(settings, 'classifier.json'), key: 'temperature' },
    })
  })

  it('a checkpoint whose tensors do not fit its config', async () => {
    const copy = tinyBert(join(folder, 'tiny-bert'))
    edit((json) => ({ ...json, intermediate_size: 99 }))(join(copy, 'config.json'))
    const error = await failure(['predict', copy, 'text'])
    expect(error).toMatchObject({ code: 'TENSOR_SHAPE', where: { tensor: expect.stringContaining('intermediate') } })
    expect(error.message).toMatch(/99.*12/)
  })

  it('pickled weights', async () => {
    const copy = join(folder, 'pickle')
    mkdirSync(copy)
    write('pickle/config.json', '{"model_type": "bert"}')
    write('pickle/pytorch_model.bin', 'PK\u0003\u0004')
    expect(await failure(['inspect', copy])).toMatchObject({ code: 'CHECKPOINT_FORMAT', help: expect.any(String) })
  })
})
