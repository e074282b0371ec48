/** The methods of the verb explain. */
export { attentionRollout } from './attention-rollout.ts'
export { integratedGradients } from './integrated-gradients.ts'
export { kernelShap } from './kernel-shap.ts'
export { lime } from './lime.ts'
export { linearExplanation } from './linear.ts'
export { occlusion } from './occlusion.ts'
