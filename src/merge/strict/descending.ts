/** The order of many numbers without a comparison function, whose sort would copy them into a list several times their size. */

const words = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length)

/**
 * Indices from the largest value to the smallest; equal ones in order of their index.
 * @param values none negative, none NaN: their bits are in the order of their size.
 */
export function descending(values: Float32Array): Uint32Array {
  const bits = words(values)
  // Low word: the index; high word: the bits turned round.
  const pairs = new Uint32Array(2 * bits.length)
  for (let i = 0; i < bits.length; i++) {
    pairs[2 * i] = i
    pairs[2 * i + 1] = ~bits[i]!
  }
  new BigUint64Array(pairs.buffer).sort()
  const order = new Uint32Array(bits.length)
  for (let i = 0; i < order.length; i++) order[i] = pairs[2 * i]!
  return order
}
