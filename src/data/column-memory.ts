/** The columns of one file. Tables know them from the start; in JSON they are chosen from the first rows that have them. */
import { type Columns, chooseColumns, defaultLabels } from './columns.ts'
import type { Values } from './records.ts'
import type { RowOptions } from './row.ts'

export class ColumnMemory {
  #columns: Columns | undefined
  #names: string[] = []
  readonly #options: RowOptions
  readonly #file: string
  readonly #isTable: boolean

  constructor(columns: Columns | undefined, options: RowOptions, file: string) {
    this.#columns = columns
    this.#isTable = columns !== undefined
    this.#options = options
    this.#file = file
  }

  /** The columns as far as this record and those before it tell. Throws InputError `COLUMN_MISSING`. */
  columnsOf(values: Values, line: number): Columns {
    const isComplete = this.#isTable || this.#columns?.labels || (this.#columns && this.#options.labels)
    if (isComplete) return this.#columns!
    const names = Object.keys(values)
    if (this.#columns) this.#columns.labels = defaultLabels(names)
    else {
      this.#columns = chooseColumns(names, { ...this.#options, requireLabels: false }, { file: this.#file, line })
      this.#columns.id ??= 'id'
      this.#names = names
    }
    return this.#columns
  }

  /** At the end: throws InputError `COLUMN_MISSING` if labels are required and no record had any. */
  checkLabels(): void {
    const isMissing = this.#options.requireLabels && this.#columns && !this.#columns.labels
    if (isMissing) chooseColumns(this.#names, this.#options, { file: this.#file })
  }
}
