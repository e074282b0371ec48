/** For contract tests: a small data set of support tickets, two areas of two topics each, and models trained on it. */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { trainWordPiece } from '../../src/text/train-wordpiece.ts'
import { espalier, repository } from './espalier.ts'

const phrases: Record<string, string[]> = {
  'billing/invoice': ['invoice', 'the bill', 'a receipt', 'my statement'],
  'billing/refund': ['refund', 'money back', 'a reimbursement', 'the returned payment'],
  'app/crash': ['crash', 'the app closing', 'a freeze', 'the black screen'],
  'app/login': ['login', 'my password', 'the sign in page', 'an account lock'],
}
const frames = [
  'a question about X',
  'please help me with X',
  'there is a problem with X',
  'X does not work',
  'where is X',
  'X again',
]

export interface Ticket {
  text: string
  labels: string[][]
}

export const tickets: Ticket[] = Object.entries(phrases).flatMap(([label, words]) =>
  words.flatMap((word) => frames.map((frame) => ({ text: frame.replace('X', word), labels: [label.split('/')] }))),
)

export const jsonl = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

export const csv = (rows: readonly Ticket[]): string =>
  `body,area,topic\n${rows.map(({ text, labels: [path] }) => `"${text}",${path!.join(',')}\n`).join('')}`

export const labelsJson = JSON.stringify({
  name: 'root',
  children: [
    { name: 'billing', children: [{ name: 'invoice' }, { name: 'refund' }] },
    { name: 'app', children: [{ name: 'crash' }, { name: 'login' }] },
  ],
})

/** Trains an `ngram` model on the tickets and returns its folder. */
export async function trainedModel(folder: string, write: (name: string, content: string) => string): Promise<string> {
  const out = join(folder, 'model')
  const { status, stderr } = await espalier(['train', write('train.jsonl', jsonl(tickets)), '--out', out])
  expect(status, stderr).toBe(0)
  return out
}

/** Copies a tiny BERT checkpoint with a tokenizer that fits its 40 tokens. */
export function tinyBert(target: string): string {
  cpSync(join(repository, 'test/fixtures/checkpoints/tiny-bert'), target, { recursive: true })
  const texts = tickets.map(({ text }) => text)
  writeFileSync(join(target, 'tokenizer.json'), JSON.stringify(trainWordPiece(texts, { vocabularySize: 40 })))
  return target
}
