/** The options by which every verb reads data: which columns, how paths are written, which format. */
import type { Command } from 'commander'
import type { ReadOptions } from '../data/row.ts'
import { namesOf, oneOf } from './option-values.ts'

export interface DataFlags {
  text?: string | string[]
  labelsColumn?: string | string[]
  separator?: string
  labelSeparator?: string
  format?: NonNullable<ReadOptions['format']>
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
}

/** The flags as options of `readDataset`. */
export function readOptionsOf({ text, labelsColumn, separator, labelSeparator, format }: DataFlags): ReadOptions {
  return { text, labels: labelsColumn, separator, labelSeparator, format }
}
