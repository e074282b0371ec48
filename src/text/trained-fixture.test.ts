import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { tokenizerFrom } from './tokenizer.ts'
import { trainBpe } from './train-bpe.ts'
import { trainWordPiece } from './train-wordpiece.ts'

const readFixture = async (name: string) =>
  JSON.parse(await readFile(new URL(`../../test/fixtures/tokenizers/${name}.json`, import.meta.url), 'utf8'))

test.each([
  ['trained-wordpiece', trainWordPiece],
  ['trained-bpe', trainBpe],
] as const)('%s is what was trained, and encodes as in the Rust tokenizers', async (name, train) => {
  const { texts } = (await readFixture('expected')) as { texts: string[] }
  const corpus = [...texts, ...texts, 'book a flight to tokyo', 'book a table in tokyo']
  const json = train(corpus, { vocabularySize: 500 })
  expect(json).toEqual(await readFixture(name))
  const tokenizer = await tokenizerFrom(json)
  const expected = (await readFixture('expected-trained'))[name] as number[][]
  for (const [i, text] of texts.entries()) expect([...tokenizer.encode(text, 1000)], text).toEqual(expected[i])
})
