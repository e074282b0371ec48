/** Encoders: configuration, weights, forward pass, inference. */
export * from './architectures.ts'
export * from './encoder.ts'
export { readEncoderConfig } from './encoder-config.ts'
export * from './encoder-runtime.ts'
export { exportEncoder } from './export-encoder.ts'
export * from './mini.ts'
export * from './token-batch.ts'
export * from './weights.ts'
