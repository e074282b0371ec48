// Word and character n-grams of one text as hashed counts. Memory is laid out by the caller (src/text/ngram-features.ts); nothing is allocated here.
// A text arrives as code points with a class each: 0 separator, 1 part of a word, 2 a token by itself.

// @ts-ignore: decorator
@inline function mix(h: u32): u32 {
  h ^= h >> 16
  h *= 0x7feb352d
  h ^= h >> 15
  h *= 0x846ca68b
  h ^= h >> 16
  return h
}

// @ts-ignore: decorator
@inline function join(a: u32, b: u32): u32 {
  return mix(a * 0x9e3779b1 + b + 0x85ebca6b)
}

// Where the distinct n-grams of the text are gathered: an open-addressing table of (hash, slot + 1), then hash, count, start, end per n-gram.
let tableAt: u32 = 0
let tableMask: u32 = 0
let hashesAt: u32 = 0
let countsAt: u32 = 0
let startsAt: u32 = 0
let endsAt: u32 = 0
let found: u32 = 0

function add(hash: u32, start: u32, end: u32): void {
  let at = (hash >> 1) & tableMask
  while (true) {
    const entry = tableAt + (at << 2)
    const slot = load<u32>(entry)
    if (slot == 0) {
      store<u32>(entry, found + 1)
      store<u32>(hashesAt + (found << 2), hash)
      store<u32>(countsAt + (found << 2), 1)
      store<u32>(startsAt + (found << 2), start)
      store<u32>(endsAt + (found << 2), end)
      found++
      return
    }
    const known = (slot - 1) << 2
    if (load<u32>(hashesAt + known) == hash) {
      store<u32>(countsAt + known, load<u32>(countsAt + known) + 1)
      return
    }
    at = (at + 1) & tableMask
  }
}

/** Finds the tokens of a text: writes hash, start and end of each, framed by one begin and one end token. Returns their number. */
function tokens(codes: u32, classes: u32, length: u32, tokensAt: u32): u32 {
  let count: u32 = 0
  store<u32>(tokensAt, 0x2545f491)
  store<u32>(tokensAt, 0, 4)
  store<u32>(tokensAt, 0, 8)
  count = 1
  let i: u32 = 0
  while (i < length) {
    const kind = load<u8>(classes + i)
    if (kind == 0) {
      i++
      continue
    }
    const start = i
    let h: u32 = 0x811c9dc5
    do {
      h = (h ^ load<u32>(codes + (i << 2))) * 0x01000193
      h ^= h >> 15
      i++
    } while (kind == 1 && i < length && load<u8>(classes + i) == 1)
    const at = tokensAt + count * 12
    store<u32>(at, mix(h))
    store<u32>(at, start, 4)
    store<u32>(at, i, 8)
    count++
  }
  const at = tokensAt + count * 12
  store<u32>(at, 0x9f4a7c15)
  store<u32>(at, length, 4)
  store<u32>(at, length, 8)
  return count + 1
}

/**
 * Writes the distinct n-grams of a text and returns their number. The lowest bit of a hash says which: 0 word, 1 character.
 */
export function ngrams(
  codes: u32, classes: u32, length: u32, tokensAt: u32, table: u32, tableSize: u32,
  hashes: u32, counts: u32, starts: u32, ends: u32, minChars: u32, maxChars: u32, streamAt: u32, maxWords: u32,
): u32 {
  tableAt = table
  tableMask = tableSize - 1
  hashesAt = hashes
  countsAt = counts
  startsAt = starts
  endsAt = ends
  found = 0
  const count = tokens(codes, classes, length, tokensAt)
  for (let t: u32 = 0; t < count; t++) {
    const at = tokensAt + t * 12
    const own = load<u32>(at)
    if (t > 0 && t + 1 < count) add(join(own, 1) & ~1, load<u32>(at, 4), load<u32>(at, 8))
    if (maxWords > 1 && t + 1 < count && count > 2) add(join(own * 31, load<u32>(at, 12)) & ~1, load<u32>(at, 4), load<u32>(at, 20))
  }
  // The characters, with one blank where words are parted and at both ends.
  let size: u32 = 0
  store<u32>(streamAt, 32)
  store<u32>(streamAt, 0, 4)
  size = 1
  for (let i: u32 = 0; i < length; i++) {
    const blank = load<u8>(classes + i) == 0
    if (blank && load<u32>(streamAt + ((size - 1) << 3)) == 32) continue
    store<u32>(streamAt + (size << 3), blank ? 32 : load<u32>(codes + (i << 2)))
    store<u32>(streamAt + (size << 3), i, 4)
    size++
  }
  if (size > 1 && load<u32>(streamAt + ((size - 1) << 3)) != 32) {
    store<u32>(streamAt + (size << 3), 32)
    store<u32>(streamAt + (size << 3), length, 4)
    size++
  }
  for (let i: u32 = 0; i < size; i++) {
    let h: u32 = 0x1b873593
    for (let n: u32 = 1; n <= maxChars && i + n <= size; n++) {
      const code = load<u32>(streamAt + ((i + n - 1) << 3))
      h = join(h, code)
      if (n >= minChars) {
        const last = load<u32>(streamAt + ((i + n - 1) << 3), 4)
        add(h | 1, load<u32>(streamAt + (i << 3), 4), code == 32 ? last : last + 1)
      }
    }
  }
  return found
}

/** Empties the table where this text's n-grams stand. Call before `known` reuses their hashes. */
export function forget(found: u32, hashes: u32, table: u32, tableSize: u32): void {
  if (found * 8 > tableSize) {
    memory.fill(table, 0, tableSize << 2)
    return
  }
  const mask = tableSize - 1
  for (let i: u32 = 0; i < found; i++) {
    let at = (load<u32>(hashes + (i << 2)) >> 1) & mask
    while (load<u32>(table + (at << 2)) != 0) {
      store<u32>(table + (at << 2), 0)
      at = (at + 1) & mask
    }
  }
}

/** Where a hash stands in an open-addressing vocabulary of (hash, column + 1) pairs, or the free entry where it would. */
// @ts-ignore: decorator
@inline function find(hash: u32, vocabulary: u32, mask: u32): u32 {
  let at = ((hash * 0x9e3779b1) >> 7) & mask
  while (true) {
    const entry = vocabulary + (at << 3)
    if (load<u32>(entry, 4) == 0 || load<u32>(entry) == hash) return entry
    at = (at + 1) & mask
  }
}

/** Counts one more text for each hash, entering new ones. Returns the vocabulary's new number of entries, at most half its size. */
export function enter(
  found: u32, hashes: u32, vocabulary: u32, size: u32, used: u32, entries: u32, frequencies: u32,
): u32 {
  for (let i: u32 = 0; i < found; i++) {
    const hash = load<u32>(hashes + (i << 2))
    const entry = find(hash, vocabulary, size - 1)
    const column = load<u32>(entry, 4)
    if (column == 0) {
      store<u32>(entries + (used << 2), hash)
      store<u32>(frequencies + (used << 2), 1)
      used++
      store<u32>(entry, hash)
      store<u32>(entry, used, 4)
    } else {
      const frequency = frequencies + ((column - 1) << 2)
      store<u32>(frequency, load<u32>(frequency) + 1)
    }
  }
  return used
}

/** Fills an empty vocabulary: entry i gets column i. */
export function index(entries: u32, used: u32, vocabulary: u32, size: u32): void {
  for (let i: u32 = 0; i < used; i++) {
    const hash = load<u32>(entries + (i << 2))
    const entry = find(hash, vocabulary, size - 1)
    store<u32>(entry, hash)
    store<u32>(entry, i + 1, 4)
  }
}

/** Keeps the n-grams that the vocabulary knows, in order: their columns, their kinds (0 word, 1 character) and damped counts. Returns how many. */
export function known(
  found: u32, hashes: u32, counts: u32, vocabulary: u32, size: u32, damped: u32, columns: u32, kinds: u32, values: u32,
): u32 {
  let kept: u32 = 0
  for (let i: u32 = 0; i < found; i++) {
    const hash = load<u32>(hashes + (i << 2))
    const column = load<u32>(find(hash, vocabulary, size - 1), 4)
    if (column == 0) continue
    store<u32>(columns + (kept << 2), column - 1)
    store<u8>(kinds + kept, <u8>(hash & 1))
    store<f32>(values + (kept << 2), load<f32>(damped + (min(load<u32>(counts + (i << 2)), 255) << 2)))
    // Where the n-gram stands among all that were found, for explanations.
    store<u32>(hashes + (kept << 2), i)
    kept++
  }
  return kept
}

/** Multiplies values by their columns' weights, then scales words and characters each to length one. */
export function weigh(kept: u32, columns: u32, kinds: u32, values: u32, weights: u32): void {
  let words: f32 = 0
  let characters: f32 = 0
  for (let i: u32 = 0; i < kept; i++) {
    const value = load<f32>(values + (i << 2)) * load<f32>(weights + (load<u32>(columns + (i << 2)) << 2))
    store<f32>(values + (i << 2), value)
    if (load<u8>(kinds + i)) characters += value * value
    else words += value * value
  }
  words = words > 0 ? 1 / sqrt<f32>(words) : 0
  characters = characters > 0 ? 1 / sqrt<f32>(characters) : 0
  for (let i: u32 = 0; i < kept; i++) {
    store<f32>(values + (i << 2), load<f32>(values + (i << 2)) * (load<u8>(kinds + i) ? characters : words))
  }
}
