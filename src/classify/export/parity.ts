/** The check that ends every export: the written files must say what the source says, on sample texts. */
import { RunError } from '../../util/errors.ts'

export interface Parity {
  /** What was compared: "probabilities", "logits", "vectors", "tensors". */
  compared: string
  /** How many texts (or tensors) were compared. */
  count: number
  largestDifference: number
  tolerance: number
}

/** Collects differences and fails loudly. */
export class ParityCheck {
  readonly #compared: string
  readonly #tolerance: number
  #count = 0
  #largest = 0

  constructor(compared: string, tolerance: number) {
    this.#compared = compared
    this.#tolerance = tolerance
  }

  /** Compares one text's (or tensor's) values. @throws RunError `EXPORT_DIFFERS` */
  compare(name: string, expected: ArrayLike<number>, received: ArrayLike<number>): void {
    this.#count++
    if (expected.length !== received.length) this.#fail(name, `${expected.length} values, received ${received.length}`)
    for (let i = 0; i < expected.length; i++) {
      const difference = Math.abs(expected[i]! - received[i]!)
      if (!(difference <= this.#tolerance)) this.#fail(name, `${expected[i]}, received ${received[i]}`)
      this.#largest = Math.max(this.#largest, difference)
    }
  }

  result(): Parity {
    return {
      compared: this.#compared,
      count: this.#count,
      largestDifference: this.#largest,
      tolerance: this.#tolerance,
    }
  }

  #fail(name: string, difference: string): never {
    throw new RunError(
      'EXPORT_DIFFERS',
      `The export differs from its source in ${this.#compared}: expected ${difference}`,
      {
        help: 'nothing was written; please report it, with the model if you can',
        data: { at: name, tolerance: this.#tolerance },
      },
    )
  }
}
