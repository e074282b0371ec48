/** The methods of `train`, one line each. */
export { conditionalSoftmax } from './conditional-softmax.ts'
export { flat } from './flat.ts'
export { htcLlm } from './htc-llm.ts'
export { perNode } from './per-node.ts'
export { xrLinear } from './xr-linear.ts'
