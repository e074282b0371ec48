/**
 * Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011). The number at an
 * index depends on the key and the index alone, so results do not depend on the order of calls or on the number of threads.
 */

/** One keyed family of random numbers. Indices are integers in [0, 2^53); each method is an independent sequence. */
export interface Random {
  /** A float in [0, 1) with 32 random bits. */
  uniform(index: number): number
  /** An integer in [0, 2^32). */
  uint32(index: number): number
  /** A standard normal number (Box-Muller on the pair that holds `index`), |x| < 6.8. */
  normal(index: number): number
}

const twoTo32 = 4294967296
const integers = 0
const normals = 1
const orders = 2

/**
 * One Philox 4x32-10 block, written into `out`. JavaScript has no 32x32 to 64 bit multiply: high words are put together from 16-bit
 * halves (the multipliers are 0xd2511f53 and 0xcd9e8d57), all in 32-bit integers, where no partial sum overflows.
 */
export function philox(out: Uint32Array, c0: number, c1: number, c2: number, c3: number, k0: number, k1: number): void {
  c0 |= 0
  c2 |= 0
  for (let round = 0; round < 10; round++) {
    const low0 = c0 & 0xffff
    const high0 = c0 >>> 16
    const middle0 = (Math.imul(high0, 0x1f53) + (Math.imul(low0, 0x1f53) >>> 16)) | 0
    const carry0 = (Math.imul(low0, 0xd251) + (middle0 & 0xffff)) | 0
    const product0 = (Math.imul(high0, 0xd251) + (middle0 >>> 16) + (carry0 >>> 16)) | 0
    const low2 = c2 & 0xffff
    const high2 = c2 >>> 16
    const middle2 = (Math.imul(high2, 0x8d57) + (Math.imul(low2, 0x8d57) >>> 16)) | 0
    const carry2 = (Math.imul(low2, 0xcd9e) + (middle2 & 0xffff)) | 0
    const product2 = (Math.imul(high2, 0xcd9e) + (middle2 >>> 16) + (carry2 >>> 16)) | 0
    const next0 = product2 ^ c1 ^ k0
    c1 = Math.imul(c2, 0xcd9e8d57)
    c2 = product0 ^ c3 ^ k1
    c3 = Math.imul(c0, 0xd2511f53)
    c0 = next0
    k0 = (k0 + 0x9e3779b9) | 0
    k1 = (k1 + 0xbb67ae85) | 0
  }
  out[0] = c0
  out[1] = c1
  out[2] = c2
  out[3] = c3
}

/** 128 bits from a list of strings and numbers: Philox as the compression function of a Davies-Meyer chain over a prefix-free encoding. */
export function keyWords(key: readonly (string | number)[]): Uint32Array {
  const state = Uint32Array.of(0x65737061, 0x6c696572, key.length, 0)
  const block = new Uint32Array(4)
  const absorb = (k0: number, k1: number) => {
    philox(block, state[0]!, state[1]!, state[2]!, state[3]!, k0, k1)
    for (let i = 0; i < 4; i++) state[i]! ^= block[i]!
  }
  const encoder = new TextEncoder()
  const number = new DataView(new ArrayBuffer(8))
  for (const part of key) {
    if (typeof part === 'number') {
      number.setFloat64(0, part === 0 ? 0 : part) // 0 and -0 are one key
      absorb(0, 1)
      absorb(number.getUint32(0), number.getUint32(4))
      continue
    }
    const bytes = encoder.encode(part)
    absorb(bytes.length, 2)
    for (let i = 0; i < bytes.length; i += 8) {
      const word = (at: number) =>
        ((bytes[at] ?? 0) |
          ((bytes[at + 1] ?? 0) << 8) |
          ((bytes[at + 2] ?? 0) << 16) |
          ((bytes[at + 3] ?? 0) << 24)) >>>
        0
      absorb(word(i), word(i + 4))
    }
  }
  return state
}

/** Philox blocks of one key and one sequence, by block number. */
type Blocks = (out: Uint32Array, block: number) => void

const blocksOf = new WeakMap<Random, (sequence: number) => Blocks>()

/**
 * Random numbers keyed by strings and numbers, such as `random(seed, 'dropout', step, name)`. Equal keys give equal numbers on every
 * machine; keys that differ in any part, or in how the text is divided among parts, are independent. Works in browsers.
 *
 * @example
 * const r = random(42, 'shuffle', epoch)
 * r.uniform(0) === random(42, 'shuffle', epoch).uniform(0) // true
 */
export function random(...key: (string | number)[]): Random {
  const [k0, k1, k2, k3] = keyWords(key) as unknown as [number, number, number, number]
  const sequence =
    (name: number): Blocks =>
    (out, block) =>
      philox(out, block >>> 0, (block / twoTo32) >>> 0, k2, (k3 ^ name) >>> 0, k0, k1)

  const integerBlocks = sequence(integers)
  const words = new Uint32Array(4)
  let heldWords = -1
  const uint32 = (index: number): number => {
    const block = Math.floor(index / 4)
    if (block !== heldWords) integerBlocks(words, (heldWords = block))
    return words[index % 4]!
  }

  const normalBlocks = sequence(normals)
  const pair = new Uint32Array(4)
  let heldPair = -1
  const normal = (index: number): number => {
    const block = Math.floor(index / 4)
    if (block !== heldPair) normalBlocks(pair, (heldPair = block))
    const first = (index % 4) & 2
    const radius = Math.sqrt(-2 * Math.log((pair[first]! + 0.5) / twoTo32))
    const angle = (2 * Math.PI * pair[first + 1]!) / twoTo32
    return radius * (index % 2 === 0 ? Math.cos(angle) : Math.sin(angle))
  }

  const result: Random = { uint32, uniform: (index) => uint32(index) / twoTo32, normal }
  blocksOf.set(result, sequence)
  return result
}

function blocks(r: Random, sequence: number): Blocks {
  const found = blocksOf.get(r)
  if (!found) throw new TypeError('Expected a value made by random()')
  return found(sequence)
}

/** Fills `target` with 32-bit integers: element i is `r.uint32(first + i)`. `first` continues an earlier fill. */
export function fillUint32(target: Uint32Array, r: Random, first = 0): void {
  const read = blocks(r, integers)
  const words = new Uint32Array(4)
  let i = 0
  while (i < target.length) {
    read(words, Math.floor((first + i) / 4))
    for (let lane = (first + i) % 4; lane < 4 && i < target.length; lane++) target[i++] = words[lane]!
  }
}

/**
 * Fills `target` with uniform numbers in [low, high): element i comes from `r.uint32(first + i)`, cut to 24 bits so that no float32
 * rounds up to the end of the unit interval.
 */
export function fillUniform(target: Float32Array, r: Random, low = 0, high = 1, first = 0): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length)
  fillUint32(words, r, first)
  const scale = (high - low) / 16777216
  for (let i = 0; i < target.length; i++) target[i] = low + scale * (words[i]! >>> 8)
}

/** Fills `target` with normal numbers: element i is `mean + deviation * r.normal(first + i)`. */
export function fillNormal(target: Float32Array, r: Random, mean = 0, deviation = 1, first = 0): void {
  const read = blocks(r, normals)
  const words = new Uint32Array(4)
  let i = 0
  while (i < target.length) {
    const index = first + i
    read(words, Math.floor(index / 4))
    for (let lane = index % 4; lane < 4 && i < target.length; ) {
      const half = lane & 2
      const radius = deviation * Math.sqrt(-2 * Math.log((words[half]! + 0.5) / twoTo32))
      const angle = (2 * Math.PI * words[half + 1]!) / twoTo32
      if (lane % 2 === 0) {
        target[i++] = mean + radius * Math.cos(angle)
        lane++
      }
      if (i < target.length) {
        target[i++] = mean + radius * Math.sin(angle)
        lane++
      }
    }
  }
}

/** A uniformly random order of 0..n-1 (Fisher-Yates; 53 random bits for each exchange). */
export function permutation(n: number, r: Random): Uint32Array {
  const read = blocks(r, orders)
  const order = new Uint32Array(n)
  for (let i = 0; i < n; i++) order[i] = i
  const words = new Uint32Array(4)
  for (let i = n - 1; i > 0; i--) {
    const half = (i & 1) * 2
    if (half === 2 || i === n - 1) read(words, i >>> 1)
    const unit = ((words[half]! >>> 5) * 67108864 + (words[half + 1]! >>> 6)) / 9007199254740992
    const j = Math.floor(unit * (i + 1))
    const kept = order[i]!
    order[i] = order[j]!
    order[j] = kept
  }
  return order
}
