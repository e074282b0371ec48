/** Every differentiable operator, one function each. */
export * from './activations.ts'
export * from './attention.ts'
export * from './dropout.ts'
export * from './elementwise.ts'
export * from './indexing.ts'
export * from './losses.ts'
export * from './matmul.ts'
export * from './reduce.ts'
