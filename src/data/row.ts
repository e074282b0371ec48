/** The row: one text with its labels, and where it was read. All readers, splits and verbs speak of rows in this form. */
import type { RunOptions } from '../util/progress.ts'

export interface Row {
  text: string
  /** Label paths from the root. Empty: no label applies (an out-of-scope row), or the data has none. */
  labels: string[][]
  id?: string
  /** The file the row was read from; `-` is standard input, `memory` a row made by the program. */
  file: string
  /** Line of the row's first character, from 1. In Parquet files and in memory: the row's number. */
  line: number
}

export type DataFormat = 'jsonl' | 'json' | 'csv' | 'tsv' | 'parquet'

/** How columns become text and labels, and what happens to faulty rows. */
export interface RowOptions {
  /** The text's column, or several that are joined by a newline. Default: the first of text, sentence, utterance, body, query, ... that exists. */
  text?: string | string[]
  /** The labels' column, or two and more columns that together form one path, outermost first. Default: the first of labels, label, path, category, ...; an empty list: none. */
  labels?: string | string[]
  /** The id's column. Default: `id`, if it exists. */
  id?: string
  /** Throws `COLUMN_MISSING` if no column of labels is found, instead of giving every row an empty list. Default false. */
  requireLabels?: boolean
  /** What separates the names of a path written as one string, such as "/". Default: " > " or " › " where they occur. An empty string: never split. */
  separator?: string
  /** What separates several labels written as one string, such as ";". Default: a string is one label. */
  labelSeparator?: string
  /** A text of white space only: `error` (default) or `skip` the row. */
  onEmptyText?: 'error' | 'skip'
  /**
   * A faulty row: `error` (default) or `skip` it. What was skipped is counted and reported once, as a progress note. Faults after which the
   * rows cannot be told apart end the reading in any case: damaged files, and in CSV broken quotes, wrong bytes and endless lines.
   */
  onBadRow?: 'error' | 'skip'
  /** Longest text accepted, in UTF-16 code units. Default 1,000,000. */
  maxTextLength?: number
}

export interface ReadOptions extends RowOptions, RunOptions {
  /** Overrides the format that the file's extension names. */
  format?: DataFormat
  /** CSV only. Default: the one of , ; tab and | that occurs most in the first record; tab in .tsv files. */
  delimiter?: string
  /** CSV only. Default `"`. An empty string: quotes are ordinary characters. */
  quote?: string
  /** CSV only. False: the first record is data, and the columns are called column1, column2, ... Default true. */
  header?: boolean
}

export const defaultMaxTextLength = 1_000_000
