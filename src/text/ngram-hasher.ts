/**
 * Hashed word and character n-grams of a text: 1-2 words (with the text's begin and end) and 2-5 characters across words, blanks included.
 * A 32-bit hash stands for an n-gram; its lowest bit says whether it is made of words (0) or characters (1).
 */
import type { Arena } from '../tensor/kernels/arena.ts'
import { loadKernels } from '../tensor/kernels/load.ts'
import { normalizeText, writeCodePoints } from './ngram-text.ts'

export interface NgramOptions {
  /** Shortest and longest character n-grams, in code points. */
  readonly minCharacters: number
  /** 0: no character n-grams. */
  readonly maxCharacters: number
  /** Most words of a word n-gram, 1 or 2. Default 2. */
  readonly maxWords?: number
}

export const defaultNgrams: NgramOptions = { minCharacters: 2, maxCharacters: 5 }

/** Code points of a text beyond this many are not looked at. */
export const maxTextLength = 65_536

export interface NgramKernels {
  ngrams(
    codes: number,
    classes: number,
    length: number,
    tokens: number,
    table: number,
    tableSize: number,
    hashes: number,
    counts: number,
    starts: number,
    ends: number,
    minChars: number,
    maxChars: number,
    stream: number,
    maxWords: number,
  ): number
  forget(found: number, hashes: number, table: number, tableSize: number): void
  enter(
    found: number,
    hashes: number,
    vocabulary: number,
    size: number,
    used: number,
    entries: number,
    frequencies: number,
  ): number
  index(entries: number, used: number, vocabulary: number, size: number): void
  known(
    found: number,
    hashes: number,
    counts: number,
    vocabulary: number,
    size: number,
    damped: number,
    columns: number,
    kinds: number,
    values: number,
  ): number
  weigh(kept: number, columns: number, kinds: number, values: number, weights: number): void
}

/** Where one text's n-grams lie in the arena. */
export interface NgramScratch {
  readonly capacity: number
  readonly codes: number
  readonly classes: number
  readonly tokens: number
  readonly stream: number
  readonly table: number
  readonly tableSize: number
  readonly hashes: number
  readonly counts: number
  readonly starts: number
  readonly ends: number
  readonly columns: number
  readonly kinds: number
  readonly values: number
}

export class NgramHasher {
  readonly arena: Arena
  readonly kernels: NgramKernels
  readonly options: NgramOptions
  scratch: NgramScratch

  private constructor(arena: Arena, kernels: NgramKernels, options: NgramOptions) {
    this.arena = arena
    this.kernels = kernels
    this.options = options
    this.scratch = this.#allocate(1024)
  }

  static async create(arena: Arena, options: NgramOptions = defaultNgrams): Promise<NgramHasher> {
    return new NgramHasher(arena, await loadKernels<NgramKernels>('ngrams', arena.memory), options)
  }

  /** Leaves the hashes, counts and places of the text's distinct n-grams in `scratch`, in order of first occurrence. Returns their number. */
  hash(text: string): number {
    const normalized = normalizeText(text)
    if (normalized.length > this.scratch.capacity && this.scratch.capacity < maxTextLength)
      this.scratch = this.#allocate(Math.min(maxTextLength, 2 ** Math.ceil(Math.log2(normalized.length))))
    const s = this.scratch
    const length = writeCodePoints(
      normalized,
      this.arena.u32(s.codes, s.capacity),
      this.arena.u8(s.classes, s.capacity),
    )
    const { minCharacters, maxCharacters, maxWords = 2 } = this.options
    const found = this.kernels.ngrams(
      s.codes,
      s.classes,
      length,
      s.tokens,
      s.table,
      s.tableSize,
      s.hashes,
      s.counts,
      s.starts,
      s.ends,
      minCharacters,
      maxCharacters,
      s.stream,
      maxWords,
    ) // prettier-ignore
    this.kernels.forget(found, s.hashes, s.table, s.tableSize)
    return found
  }

  #allocate(capacity: number): NgramScratch {
    const { minCharacters, maxCharacters } = this.options
    const most = (capacity + 2) * (maxCharacters - minCharacters + 1 + 2)
    const tableSize = 2 ** Math.ceil(Math.log2(most * 1.5))
    const words = (count: number) => this.arena.allocate(count * 4)
    return {
      capacity,
      codes: words(capacity),
      classes: this.arena.allocate(capacity),
      tokens: words((capacity + 2) * 3),
      stream: words((capacity + 2) * 2),
      table: words(tableSize),
      tableSize,
      hashes: words(most),
      counts: words(most),
      starts: words(most),
      ends: words(most),
      columns: words(most),
      kinds: this.arena.allocate(most),
      values: words(most),
    }
  }
}
