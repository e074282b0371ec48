/** Differentiable graphs of ONNX operators, and the sessions that run them. */
export type { Dtype, HostArray } from './dtype.ts'
export { gradients } from './gradients.ts'
export { differentiable, Graph, type Tensor, type Vjp } from './graph.ts'
export { encodeOnnx, program } from './onnx.ts'
export * from './ops/index.ts'
export { loadRuntime, type RuntimeName } from './runtime.ts'
export { type CompileOptions, compile, Session, type SessionRunOptions } from './session.ts'
export { type Dim, multiplyDims, type Shape, sumDim } from './shape.ts'
