import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadTokenizer, saveTokenizer, type Tokenizer, tokenizerFrom } from './tokenizer.ts'

const fixtures = new URL('../../test/fixtures/tokenizers/', import.meta.url)
const readFixture = async (name: string) => JSON.parse(await readFile(new URL(name, fixtures), 'utf8'))
const expected: {
  texts: string[]
  tokenizers: Record<string, { ids: number[]; offsets: [number, number][] }[]>
} = await readFixture('expected.json')
const named = (name: string): Promise<Tokenizer> => readFixture(`${name}.json`).then(tokenizerFrom)

describe.each(Object.keys(expected.tokenizers))('%s, as the Rust tokenizers do it', (name) => {
  test('ids of texts in many scripts', async () => {
    const tokenizer = await named(name)
    const json = await readFixture(`${name}.json`)
    const score = (ids: number[]) => ids.reduce((sum, id) => sum + json.model.vocab[id][1], 0)
    for (const [i, text] of expected.texts.entries()) {
      const ids = [...tokenizer.encode(text, 1000)]
      const theirs = expected.tokenizers[name]![i]!.ids
      // Two ways to cut a word may have one score; then either is right.
      if (json.model.type === 'Unigram' && ids.join() !== theirs.join()) {
        expect(ids.length, text).toBe(theirs.length)
        expect(score(ids), text).toBeCloseTo(score(theirs), 9)
      } else expect(ids, text).toEqual(theirs)
    }
  })

  test('places in the text, in whole graphemes without white space around', async () => {
    const tokenizer = await named(name)
    const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' })
    for (const [i, text] of expected.texts.entries()) {
      const units = [0] // the UTF-16 offset of each code point
      for (const character of text) units.push(units.at(-1)! + character.length)
      const bounds = [...segmenter.segment(text)].map(({ index, segment }) => [index, index + segment.length] as const)
      const added = [...text.matchAll(/\[MASK\]|\[CLS\]|\[SEP\]|<mask>|<s>|<\/s>/g)].map(
        ({ index, 0: token }) => [index, index + token.length] as const,
      )
      const wider = (at: number) =>
        bounds.find(([from, to]) => from <= at && at < to && !added.some(([a, b]) => a <= at && at < b)) ?? [at, at + 1]
      const theirs = expected.tokenizers[name]![i]!.offsets.map(([from, to]) => {
        let [start, end] = [units[from]!, units[to]!]
        while (start < end && /\s/.test(text[start]!)) start++
        while (start < end && /\s/.test(text[end - 1]!)) end--
        return start === end ? 'empty' : `${wider(start)[0]} ${wider(end - 1)[1]}`
      })
      if ([...tokenizer.encode(text, 1000)].join() !== expected.tokenizers[name]![i]!.ids.join()) continue // a tie, see above
      const spans = tokenizer.tokens(text)
      for (const [k, { token }] of spans.entries()) if (token === '▁') theirs[k] = 'empty' // they give it the next letter
      const ours = spans.map(({ start, end }) => (start === end ? 'empty' : `${start} ${end}`))
      expect(ours, text).toEqual(theirs)
    }
  })
})

describe('the wrapper', () => {
  let folder = ''
  let root = ''
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'espalier-'))
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(root, 'tokenizer-'))
  })
  afterAll(() => rm(root, { recursive: true }))

  test('cutting to a length keeps the special tokens', async () => {
    const tokenizer = await named('bert-uncased')
    const whole = tokenizer.encode('book a table for two, please!', 100)
    expect([...tokenizer.encode('book a table for two, please!', 5)]).toEqual([...whole.slice(0, 4), whole.at(-1)])
    expect([...tokenizer.encode('book', 2)]).toEqual([whole[0], whole.at(-1)])
    expect([...tokenizer.encode('book', 0)]).toEqual([whole[0], whole.at(-1)])
  })

  test.each(['bert-uncased', 'roberta', 'unigram'])(
    '%s: the ids of a cut text are the first ids of the whole',
    async (name) => {
      const tokenizer = await named(name)
      const words = expected.texts.flatMap((text) => text.split(/(?<=\s)/))
      const unbroken = '東京タワーは高い𠮷野家'.repeat(60)
      fc.assert(
        fc.property(
          fc.array(fc.constantFrom(...words, unbroken), { minLength: 100, maxLength: 500 }),
          fc.integer({ min: 3, max: 40 }),
          (parts, length) => {
            const text = parts.join('')
            const whole = tokenizer.encode(text, 1_000_000)
            const cut = tokenizer.encode(text, length)
            expect([...cut]).toEqual([...whole.slice(0, Math.min(length, whole.length) - 1), whole.at(-1)])
          },
        ),
        { numRuns: 60 },
      )
    },
  )

  test('ten megabytes are cut without being read to the end', async () => {
    const tokenizer = await named('bert-uncased')
    const text = 'book a table '.repeat(800_000)
    expect(tokenizer.encode(text, 64)).toEqual(tokenizer.encode(text.slice(0, 5000), 64))
    expect(tokenizer.encode('x'.repeat(10_000_000), 64).length).toBe(3) // one endless word is unknown
  })

  test('a batch is its rows end to end', async () => {
    const tokenizer = await named('roberta')
    const { ids, offsets } = tokenizer.encodeBatch(expected.texts, 20)
    expect(offsets.length).toBe(expected.texts.length + 1)
    for (const [i, text] of expected.texts.entries())
      expect(ids.slice(offsets[i], offsets[i + 1])).toEqual(tokenizer.encode(text, 20))
  })

  test('padding, sizes and names', async () => {
    const bert = await named('bert-uncased')
    expect([bert.padId, bert.idOf('[CLS]'), bert.tokenOf(3), bert.tokenOf(1e6), bert.idOf('none')]).toEqual([
      0,
      2,
      '[SEP]',
      undefined,
      undefined,
    ])
    expect((await named('roberta')).padId).toBe(1)
    const json = await readFixture('bert-uncased.json')
    expect(bert.vocabularySize).toBe(Object.keys(json.model.vocab).length)
    const other = await tokenizerFrom(json, { pad_token: { content: '[MASK]' }, model_max_length: 512 })
    expect([other.padId, other.modelMaxLength]).toEqual([4, 512])
    expect((await tokenizerFrom(json, { model_max_length: 1e30 })).modelMaxLength).toBeUndefined()
  })

  test('saved and loaded again it gives the same', async () => {
    for (const name of Object.keys(expected.tokenizers)) {
      const before = await named(name)
      await saveTokenizer(before, folder)
      const after = await loadTokenizer(folder)
      for (const text of expected.texts) expect(after.encode(text, 99)).toEqual(before.encode(text, 99))
      expect(after.padId).toBe(before.padId)
    }
  })

  test('vocab.txt stands in for tokenizer.json', async () => {
    for (const [name, config] of [
      ['bert-uncased', {}],
      ['bert-cased', { do_lower_case: false }],
      ['bert-accents', { do_lower_case: true, strip_accents: false }],
    ] as const) {
      const { vocab } = (await readFixture(`${name}.json`)).model as { vocab: Record<string, number> }
      const lines = Object.entries(vocab).sort(([, a], [, b]) => a - b)
      await writeFile(join(folder, 'vocab.txt'), `${lines.map(([token]) => token).join('\r\n')}\r\n`)
      await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config))
      const tokenizer = await loadTokenizer(folder)
      for (const [i, text] of expected.texts.entries())
        expect([...tokenizer.encode(text, 1000)], text).toEqual(expected.tokenizers[name]![i]!.ids)
    }
  })

  test('errors name the file and say what to do', async () => {
    await expect(loadTokenizer(folder)).rejects.toMatchObject({
      code: 'TOKENIZER_MISSING',
      where: { file: folder },
      help: expect.stringContaining('AutoTokenizer'),
    })
    await expect(loadTokenizer(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
    const file = join(folder, 'tokenizer.json')
    for (const [text, code] of [
      ['{', 'JSON_MALFORMED'],
      ['[]', 'TOKENIZER_MALFORMED'],
      ['{}', 'TOKENIZER_MALFORMED'],
      ['{"model":{"type":"WordPiece"}}', 'TOKENIZER_MALFORMED'],
      ['{"model":{"type":"WordPiece","vocab":{"a":0}},"normalizer":{"type":"Telepathy"}}', 'TOKENIZER_UNSUPPORTED'],
    ] as const) {
      await writeFile(file, text)
      await expect(loadTokenizer(folder)).rejects.toMatchObject({ code, where: { file } })
    }
    await rm(file)
    const vocabulary = join(folder, 'vocab.txt')
    for (const [text, line] of [
      ['[UNK]\na\n\nb\n', 3],
      ['[UNK]\na\nb\na\n', 4],
      ['a\nb\n', undefined],
    ] as const) {
      await writeFile(vocabulary, text)
      await expect(loadTokenizer(folder)).rejects.toMatchObject({
        code: 'VOCABULARY_MALFORMED',
        where: { file: vocabulary, ...(line && { line }) },
      })
    }
  })
})
