/** How many threads an encoder may use so that its results do not depend on their number. */
import type { EncoderConfig } from './encoder.ts'

/**
 * ONNX Runtime shares a matrix product with fewer rows than columns among threads by columns, and adds up longer stretches at once where a
 * share has 64 columns or less, which rounds differently. Shares of 80 columns and more never get there.
 */
const columnsPerThread = 80

/** The number of threads to use when `threads` are allowed: at most one for each 80 of the hidden size. */
export function encoderThreads({ hiddenSize }: EncoderConfig, threads: number): number {
  return Math.max(1, Math.min(threads, Math.floor(hiddenSize / columnsPerThread)))
}
