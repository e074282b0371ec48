/** The verb organize: labelled texts in, better labelled texts and their tree out. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Dataset } from '../data/dataset.ts'
import { splitRows } from '../data/split.ts'
import { writeJsonl } from '../data/write-jsonl.ts'
import { LabelTree } from '../labels/label-tree.ts'
import { checkOutputFolder, recordFile, writeFolderAtomic } from '../util/atomic.ts'
import { InputError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { version } from '../util/version.ts'
import type { Organized, OrganizeMethod, SchemaRow } from './organize-method.ts'

export interface OrganizeOptions extends RunOptions {
  method: OrganizeMethod
  /** The same texts in the same order, labelled by the second schema. */
  second: Dataset
  /** Folder to write: train.jsonl, dev.jsonl, test.jsonl, dropped.jsonl, labels.json, report.json. Without it nothing is written. */
  out?: string
  /** Replace `out` if this package wrote it. Default false. */
  force?: boolean
  /** Shares of dev and test, 0 to below 1. Default 0.1 and 0.2. */
  dev?: number
  test?: number
  /** Draws samples and splits. Default 0. */
  seed?: number
  /** What is written to `espalier.json` as the command. */
  command?: string
}

export interface OrganizeResult extends Organized {
  readonly tree: LabelTree
  readonly splits: { train: number; dev: number; test: number }
}

/**
 * Organizes labelled texts by a method.
 * @throws InputError `ROWS_DIFFER` if the two data sets are not the same texts; `DATA_EMPTY`, `SPLIT_SIZE`, `OUT_EXISTS`, and those of the data.
 * @example
 * const data = await readDataset('papers.jsonl', { labels: 'journal' })
 * const second = await readDataset('papers.jsonl', { labels: 'topic' })
 * const { rows, report } = await organize(data, { method: htcDatasets(), second })
 */
export async function organize(data: Dataset, options: OrganizeOptions): Promise<OrganizeResult> {
  const { method, second, out, force = false, dev = 0.1, test = 0.2, seed = 0 } = options
  if (out !== undefined) await checkOutputFolder(out, force)
  const found = await method.organize(await pairs(data, second), seed, options)
  if (found.rows.length === 0)
    throw new InputError('DATA_EMPTY', 'No text is left', { help: 'lower theta, or minTexts, or allow dominant' })
  const tree = LabelTree.fromPaths(found.rows.flatMap(({ labels }) => labels))
  const parts = splitRows(found.rows, { dev, test, seed })
  const splits = { train: parts.train.length, dev: parts.dev.length, test: parts.test.length }
  if (out !== undefined) {
    const inputs = [...(await data.hash(options)), ...(await second.hash(options))]
    const { name } = method
    const how = { method: { name, options: method.options }, seed, splits, inputs }
    const record = { espalier: version, verb: 'organize', ...commandOf(options), ...how }
    await writeFolderAtomic(out, { force }, async (folder) => {
      for (const [part, rows] of Object.entries(parts)) await writeJsonl(join(folder, `${part}.jsonl`), rows, options)
      await writeFile(join(folder, 'dropped.jsonl'), found.dropped.map((row) => `${JSON.stringify(row)}\n`).join(''))
      await writeFile(join(folder, 'labels.json'), `${JSON.stringify(tree, null, 1)}\n`)
      await writeFile(join(folder, 'report.json'), `${JSON.stringify(found.report, null, 1)}\n`)
      await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`)
    })
  }
  return { ...found, tree, splits }
}

const commandOf = ({ command }: OrganizeOptions) => (command === undefined ? {} : { command })

/** The rows of both data sets side by side. */
async function pairs(data: Dataset, second: Dataset): Promise<SchemaRow[]> {
  const [rows, others] = [await data.collect(), await second.collect()]
  for (let i = 0; i < Math.max(rows.length, others.length); i++)
    if (rows[i]?.text !== others[i]?.text)
      throw new InputError('ROWS_DIFFER', `Row ${i + 1} has another text in the second data set`, {
        where: { file: (rows[i] ?? others[i])!.file, line: (rows[i] ?? others[i])!.line },
        help: 'give both schemas of the same texts, in the same order',
      })
  return rows.map(({ text, labels, id }, i) => ({
    text,
    labels,
    ...(id === undefined ? {} : { id }),
    second: others[i]!.labels,
  }))
}
