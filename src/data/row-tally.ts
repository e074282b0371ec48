/** Keeps count of a reading's rows: those that are sound, and those that were skipped because the caller said so. */
import { formatPlace, InputError } from '../util/errors.ts'
import type { Row, RowOptions } from './row.ts'

export class RowTally {
  rows = 0
  readonly #options: RowOptions
  readonly #skipped = new Map<string, number>()
  #first: InputError | undefined
  #rowsAtFileStart = 0

  constructor(options: RowOptions) {
    this.#options = options
  }

  /** The row that `build` makes; undefined if it is faulty and faulty rows are skipped. */
  attempt(build: () => Row): Row | undefined {
    try {
      const row = build()
      this.rows++
      return row
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      const { onEmptyText, onBadRow } = this.#options
      const skips = onBadRow === 'skip' || (onEmptyText === 'skip' && error.code === 'TEXT_EMPTY')
      if (!skips || (onEmptyText === 'error' && error.code === 'TEXT_EMPTY')) throw error
      this.#first ??= error
      this.#skipped.set(error.code, (this.#skipped.get(error.code) ?? 0) + 1)
      return undefined
    }
  }

  /** Throws InputError `DATA_EMPTY` if the file that was just read gave no row. */
  checkFile(file: string): void {
    const found = this.rows - this.#rowsAtFileStart
    this.#rowsAtFileStart = this.rows
    if (found > 0) return
    throw new InputError('DATA_EMPTY', this.#first ? 'No row of the file can be used' : 'The file has no rows', {
      where: { file },
      help: this.note ?? 'expected at least one row with a text',
    })
  }

  get note(): string | undefined {
    if (!this.#first) return undefined
    const total = [...this.#skipped.values()].reduce((sum, count) => sum + count, 0)
    const kinds = [...this.#skipped].map(([code, count]) => `${count} ${code}`).join(', ')
    return `skipped ${total} rows (${kinds}); the first: ${formatPlace(this.#first.where)}: ${this.#first.message}`
  }
}
