/** The options by which every verb reads data: which columns, how paths are written, which format. */
import type { Command } from 'commander'
import type { ReadOptions } from '../data/row.ts'
import type { Progress, RunOptions } from '../util/progress.ts'
import { namesOf, oneOf } from './option-values.ts'

export interface DataFlags {
  text?: string | string[]
  labelsColumn?: string | string[]
  separator?: string
  labelSeparator?: string
  format?: NonNullable<ReadOptions['format']>
  emptyText?: 'error' | 'skip'
  badRows?: 'error' | 'skip'
}

export function addDataOptions(command: Command): Command {
  return command
    .option(
      '--text <COLUMN>',
      'the text\'s column, or several "a,b" (default: the first of text, sentence, body, ... that exists)',
      namesOf('--text'),
    )
    .option(
      '--labels-column <NAMES>',
      'the labels\' column, or several "area,topic" that make one path (default: the first of labels, label, path, ...)',
      namesOf('--labels-column'),
    )
    .option('--separator <TEXT>', 'what stands between the names of a path in one string (default: " > " or " › ")')
    .option('--label-separator <TEXT>', 'what stands between several labels in one string (default: one label)')
    .option(
      '--format <NAME>',
      "jsonl, json, csv, tsv or parquet (default: by the file's name)",
      oneOf('--format', ['jsonl', 'json', 'csv', 'tsv', 'parquet']),
    )
    .option(
      '--empty-text <WHAT>',
      'rows whose text is white space only: error, or skip (default: error)',
      oneOf('--empty-text', ['error', 'skip']),
    )
    .option(
      '--bad-rows <WHAT>',
      'rows that cannot be read, and empty texts: error, or skip (default: error)',
      oneOf('--bad-rows', ['error', 'skip']),
    )
}

/** The flags as options of `readDataset`. */
export function readOptionsOf(flags: DataFlags): ReadOptions {
  const { text, labelsColumn, separator, labelSeparator, format, emptyText, badRows } = flags
  return { text, labels: labelsColumn, separator, labelSeparator, format, onEmptyText: emptyText, onBadRow: badRows }
}

/** For readings whose progress says nothing of the whole: passes on remarks only, such as how many rows were left out. */
export function remarksOnly({ signal, onProgress }: Required<RunOptions>): Required<RunOptions> {
  return { signal, onProgress: (progress: Progress) => progress.note !== undefined && onProgress(progress) }
}
