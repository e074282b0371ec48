/** The methods of `train`, one line each. */
export { caml } from './caml.ts'
export { conditionalSoftmax } from './conditional-softmax.ts'
export { flat } from './flat.ts'
export { htcLlm } from './htc-llm.ts'
export { laat } from './laat.ts'
export { perNode } from './per-node.ts'
export { xrLinear } from './xr-linear.ts'
