import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure, filesBelow } from './espalier.ts'
import { csv, jsonl, labelsJson, tickets, tinyBert } from './tickets.ts'

const { folder, write } = temporaryFolder()
const data = write('train.jsonl', jsonl(tickets))
const labels = write('labels.json', labelsJson)

describe('train', () => {
  it('writes a model folder and says where it is and what comes next', async () => {
    const out = join(folder, 'plain')
    const { status, stdout, stderr } = await espalier(['train', data, '--labels', labels, '--out', out])
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(new RegExp(`^model +${out} +\\S+ [kM]B$`, 'm'))
    expect(stdout).toMatch(/^next +\S.* evaluate /m)
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining(['classifier.json', 'config.json', 'espalier.json', 'labels.json', 'model.safetensors']),
    )
    const record = JSON.parse(readFileSync(join(out, 'espalier.json'), 'utf8'))
    expect(record).toMatchObject({
      verb: 'train',
      command: `espalier train ${data} --labels ${labels} --out ${out}`,
      rows: { train: 96 },
      inputs: [{ file: data, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
    })
  })

  it('with --json prints the record as one document, progress as JSON lines', async () => {
    const out = join(folder, 'json')
    const result = await document(['train', data, '--out', out, '--seed', '7', '--threads', '1'])
    expect(result).toMatchObject({ out, encoder: 'ngram', seed: 7, rows: { train: 96 }, seconds: expect.any(Number) })
  })

  it('plans with another loss, and says where one has no use', async () => {
    const loss = ['--loss', 'tree-smoothing', '--loss-option', 'share=0.1']
    const shared = ['train', data, '--labels', labels, '--plan', '--encoder', 'mini', '--method', 'flat']
    const plan = await document([...shared, ...loss])
    expect(plan).toMatchObject({ loss: { name: 'tree-smoothing', options: { share: 0.1, beta: 10 } } })
    expect((await espalier([...shared, ...loss])).stdout).toContain('tree-smoothing loss, beta 10, share 0.1')
    const refused = async (...args: string[]) => {
      const { status, stderr } = await espalier(['train', data, '--labels', labels, '--plan', ...args])
      expect(status).toBe(2)
      return stderr
    }
    expect(await refused('--loss', 'focal')).toContain('--loss is an option of transformers')
    expect(await refused('--encoder', 'mini', '--loss', 'zlpr')).toContain('each label on its own')
    expect(await refused('--encoder', 'mini', '--loss', 'fokal')).toContain('focal')
    expect(await refused('--encoder', 'mini', '--loss-option', 'gamma=1')).toContain('--loss-option needs --loss')
    expect(await refused('--encoder', 'mini', '--loss', 'focal', '--loss-option', 'gama=1')).toContain('gamma')
  })

  it('takes a method with typed options, columns, a dev set, and several files', async () => {
    const half = tickets.length / 2
    const files = [write('a.csv', csv(tickets.slice(0, half))), write('b.csv', csv(tickets.slice(half)))]
    const columns = ['--text', 'body', '--labels-column', 'area,topic']
    const method = ['--method', 'conditional-softmax', '--method-option', 'logitAdjustment=1']
    const out = join(folder, 'columns')
    const dev = write('dev.csv', csv(tickets.slice(0, 20)))
    const result = await document(['train', ...files, '--dev', dev, '--out', out, ...columns, ...method])
    expect(result).toMatchObject({
      method: { name: 'conditional-softmax', options: { logitAdjustment: 1 } },
      rows: { train: 96, dev: 20 },
      labels: { count: 6, levels: 2, leaves: 4 },
    })
  })

  it('trains on several labels a row', async () => {
    const several = tickets.map(({ text, labels: [path] }, index) => ({
      text: `${text} and ${tickets[(index * 7) % tickets.length]!.text}`,
      labels: [path, ...tickets[(index * 7) % tickets.length]!.labels],
    }))
    const out = join(folder, 'several')
    await document(['train', write('several.jsonl', jsonl(several)), '--out', out])
    const [answer] = (await document(['predict', out, 'refund and my password'])).predictions
    expect(answer.paths.map(({ path }: { path: string[] }) => path.at(-1))).toEqual(
      expect.arrayContaining(['refund', 'login']),
    )
  })

  it('fine-tunes a checkpoint, with the options of encoders, and the result is used as any other', async () => {
    const encoder = tinyBert(join(folder, 'tiny-bert'))
    const out = join(folder, 'tuned')
    const options = ['--epochs', '2', '--lr', '0.001', '--batch', '16', '--max-length', '12', '--seed', '5']
    const result = await document(['train', data, '--encoder', encoder, '--out', out, ...options])
    expect(result).toMatchObject({ encoder, options: { epochs: 2, lr: 0.001, batch: 16, maxLength: 12 }, seed: 5 })
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['tokenizer.json', 'train-log.jsonl']))
    const { predictions } = await document(['predict', out, 'where is my refund'])
    expect(predictions[0].path).toHaveLength(2)
    const page = join(folder, 'tuned.html')
    await document(['evaluate', out, data, '--report', page])
    expect(readFileSync(page, 'utf8')).toContain('loss (nats)')
  })

  it('--plan says what would happen and writes nothing', async () => {
    const out = join(folder, 'planned')
    const before = filesBelow(folder)
    const plan = await document(['train', data, '--out', out, '--plan'])
    expect(plan).toMatchObject({
      encoder: 'ngram',
      method: { name: 'flat' },
      rows: 96,
      labels: { count: 6, levels: 2, leaves: 4, multiLabel: false },
      inputs: [{ file: data }],
    })
    expect(plan.writes.length).toBeGreaterThan(0)
    const { status, stdout } = await espalier(['train', data, '--plan'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^rows +96 to train on/m)
    expect(filesBelow(folder)).toEqual(before)
  })

  it('the same command and seed give the same model, whatever the threads', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    await Promise.all([
      espalier(['train', data, '--out', one, '--seed', '3', '--threads', '1']),
      espalier(['train', data, '--out', two, '--seed', '3', '--threads', '2']),
    ])
    for (const name of ['model.safetensors', 'classifier.json', 'labels.json'])
      expect(readFileSync(join(one, name)).equals(readFileSync(join(two, name))), name).toBe(true)
  })

  it('leaves out or adds labels that are not in the tree, when asked', async () => {
    const more = write('more.jsonl', jsonl([...tickets, { text: 'a new kind of thing', labels: [['app', 'other']] }]))
    const run = (what: string) =>
      document(['train', more, '--labels', labels, '--unknown-labels', what, '--out', join(folder, what)])
    expect(await run('skip')).toMatchObject({ rows: { train: 96 }, labels: { count: 6 } })
    expect(await run('add')).toMatchObject({ rows: { train: 97 }, labels: { count: 7 } })
  })
})

describe('the output folder', () => {
  it('is refused if it exists, replaced with --force if it is ours', async () => {
    const out = join(folder, 'again')
    expect((await espalier(['train', data, '--out', out])).status).toBe(0)
    const error = await failure(['train', data, '--out', out])
    expect(error).toMatchObject({ code: 'OUT_EXISTS', where: { file: out }, help: expect.stringContaining('--force') })
    expect((await espalier(['train', data, '--out', out, '--force', '--seed', '1'])).status).toBe(0)
    expect(JSON.parse(readFileSync(join(out, 'espalier.json'), 'utf8')).seed).toBe(1)
  })

  it('is never replaced if it is not ours, not even with --force', async () => {
    const theirs = join(folder, 'theirs')
    mkdirSync(theirs)
    write('theirs/thesis.txt', 'ten years of work')
    for (const force of [[], ['--force']]) {
      expect(await failure(['train', data, '--out', theirs, ...force])).toMatchObject({ code: 'OUT_EXISTS' })
      expect(filesBelow(theirs)).toEqual(['thesis.txt'])
    }
    const mixed = join(folder, 'mixed')
    expect((await espalier(['train', data, '--out', mixed])).status).toBe(0)
    write('mixed/notes.txt', 'kept beside the model')
    expect(await failure(['train', data, '--out', mixed, '--force'])).toMatchObject({ code: 'OUT_EXISTS' })
    expect(filesBelow(mixed)).toContain('notes.txt')
    expect(await failure(['train', data, '--out', data])).toMatchObject({ code: 'OUT_EXISTS' })
    expect(readFileSync(data, 'utf8')).toBe(jsonl(tickets))
  })

  it('may be an empty folder, and its parents are made', async () => {
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    expect((await espalier(['train', data, '--out', empty])).status).toBe(0)
    const deep = join(folder, 'not/yet/there')
    expect((await espalier(['train', data, '--out', deep])).status).toBe(0)
    expect(existsSync(join(deep, 'espalier.json'))).toBe(true)
  })
})
