import { describe, expect, it } from 'vitest'
import { espalier, failure } from './espalier.ts'

describe('wrong usage', () => {
  it.each([
    [['trian'], 'There is no verb "trian"', 'did you mean "train"?'],
    [
      ['zzz'],
      'There is no verb "zzz"',
      'verbs: train, pretrain, evaluate, predict, explain, merge, extract-lora, export, serve, studio, align, organize, select, inspect, systems, demo',
    ],
    [['help', 'predcit'], 'There is no verb "predcit"', 'did you mean "predict"?'],
    [['train', 'x.jsonl', '--ouput', 'm'], 'Unknown option --ouput', 'did you mean "--out"?'],
    [['train'], 'DATA is missing', 'usage: espalier train DATA... --out DIR [options]'],
    [['train', 'x.jsonl'], 'Option --out is missing', /--plan/],
    [['train', 'x.jsonl', '--out'], 'Option --out needs a value', 'see: espalier train --help'],
    [
      ['train', 'x.jsonl', '--out', 'm', '--epochs', '1.5'],
      /^--epochs expects a whole number of at least 1, received "1.5"/,
      undefined,
    ],
    [
      ['train', 'x.jsonl', '--out', 'm', '--lr', '0'],
      /^--lr expects a number above 0, at most 1, received "0"/,
      undefined,
    ],
    [
      ['train', 'x.jsonl', '--out', 'm', '--unknown-labels', 'skp'],
      /^--unknown-labels expects one of/,
      'did you mean "skip"?',
    ],
    [
      ['train', 'x.jsonl', '--out', 'm', '--method', 'per-nod'],
      'There is no method "per-nod"',
      'did you mean "per-node"?',
    ],
    [
      ['train', 'x.jsonl', '--out', 'm', '--method-option', 'a=1'],
      '--method-option needs --method',
      'see: espalier systems',
    ],
    [
      ['train', 'x.jsonl', '--out', 'm', '--method', 'conditional-softmax', '--method-option', 'logitAdjustmnt=1'],
      'Unknown option "logitAdjustmnt" of method conditional-softmax',
      'did you mean "logitAdjustment"?',
    ],
    [
      ['train', 'x.jsonl', '--out', 'm', '--method', 'conditional-softmax', '--method-option', 'logitAdjustment=much'],
      'logitAdjustment expects number from 0 to 10, received "much"',
      undefined,
    ],
    [
      ['train', 'x.jsonl', '--out', 'm', '--encoder', 'mni'],
      /^--encoder mni: there is no such/,
      'did you mean "mini"?',
    ],
    [['train', 'x.jsonl', '--out', 'm', '--epochs', '3'], /^--epochs is an option of transformers/, /--encoder/],
    [['evaluate', 'm'], 'DATA is missing', /^usage: /],
    [['evaluate', 'm', 'x.jsonl', '--report', 'page.pdf'], /must end with \.html/, /page\.pdf\.html/],
    [['evaluate', 'm', 'x.jsonl', 'y.jsonl'], 'More arguments than expected', /^usage: /],
    [['predict'], 'MODEL is missing', /^usage: /],
    [['predict', 'm', 'text', '--top-k', '0'], /^--top-k expects a whole number of at least 1/, undefined],
    [['predict', 'm', 'text', '--min-confidence', '2'], /^--min-confidence expects a number from 0 to 1/, undefined],
    [['predict', 'm', 'text', '--input', 'f.csv'], 'Texts and --input exclude each other', 'give one of them'],
    [['systems', 'flt'], 'There is no method "flt"', 'did you mean "flat"?'],
    [['inspect'], 'PATH is missing', /^usage: /],
  ] as [string[], string | RegExp, string | RegExp | undefined][])('%j', async (args, message, help) => {
    const error = await failure(args)
    expect(error.message).toMatch(message instanceof RegExp ? message : new RegExp(`^${escaped(message)}$`))
    if (help !== undefined) expect(error.help).toMatch(help instanceof RegExp ? help : new RegExp(`^${escaped(help)}$`))
  })

  it('--debug shows where an error arose, without it nothing does', async () => {
    const { stderr } = await espalier(['inspect', 'no-such-file.csv', '--debug'])
    expect(stderr).toMatch(/^✖ File not found/)
    expect(stderr).toMatch(/^ +at /m)
    const json = await espalier(['inspect', 'no-such-file.csv', '--debug', '--json'])
    expect(JSON.parse(json.stdout).error.stack).toMatch(/ at /)
  })

  it('a text that looks like an option follows --', async () => {
    const { error } = JSON.parse((await espalier(['predict', 'no-model', '--json', '--', '--json'])).stdout)
    expect(error).toMatchObject({ code: 'ENOENT', where: { file: 'no-model' } })
  })
})

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
