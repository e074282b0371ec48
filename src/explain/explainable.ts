/** What explanations need of a classifier: any object of this shape will do, among them the one that `train` and `loadClassifier` return. */
import type { UnitGroup } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { NodeProbabilities } from '../labels/node-probabilities.ts'
import type { ModelParts } from '../models/model-parts.ts'
import { InputError } from '../util/errors.ts'

export interface Explainable {
  readonly tree: LabelTree
  readonly settings: {
    readonly multiLabel: boolean
    readonly temperature: number
    readonly layout: {
      readonly activation: 'softmax' | 'sigmoid'
      readonly unitNodes: readonly number[]
      readonly groups: readonly UnitGroup[]
    }
  }
  /** Ids where predicted paths may end. */
  readonly terminals: Int32Array
  readonly scorer: { readonly kind: string; readonly parts?: ModelParts }
  readonly probabilities: (logits: Float32Array) => NodeProbabilities
}

/** The insides of a model. Throws InputError `EXPLAIN_MODEL` for one that only ranks its best labels. */
export function partsOf({ scorer }: Explainable): ModelParts {
  if (scorer.parts) return scorer.parts
  throw new InputError('EXPLAIN_MODEL', `Expected an ngram model or an encoder, received a ${scorer.kind} model`, {
    help: 'models that rank labels cannot be explained yet',
  })
}
