/**
 * Head methods: how a classifier's outputs are laid out over the label tree. A method is one file that exports one function of its options;
 * training, decoding and files are shared by all.
 */
import type * as v from 'valibot'
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { MethodInfo } from '../util/method.ts'
import { checkMethodOptions } from '../util/method-options.ts'
import type { TrainingCost } from './plan-encoder.ts'
import type { Scorer } from './scorer.ts'
import type { ScorerTraining } from './train-scorer.ts'
import type { LabelledTexts } from './training-data.ts'

/** What a method may look at when it lays out its units. */
export interface HeadContext {
  /** Rows may have several label paths. */
  multiLabel: boolean
  /** Ids where paths of the training rows end, ascending: leaves, and inner nodes at which some row stops. */
  terminals: readonly number[]
}

/** A method with its options settled, ready to train. */
export interface HeadMethod {
  readonly name: string
  readonly options: Record<string, unknown>
  /** Strength of logit adjustment, see logit-adjustment.ts; 0 is off. */
  readonly logitAdjustment: number
  layout(tree: LabelTree, context: HeadContext): HeadLayout
  /** Set by a method that has its own kind of model, in place of a head on an encoder. */
  readonly own?: OwnModel
}

/** What the trainer of a method's own kind of model is given. */
export type OwnTraining = Omit<ScorerTraining, 'method' | 'targets'>

export interface OwnPlan {
  tree: LabelTree
  layout: HeadLayout
  train: LabelledTexts
  threads: number
  encoder: string
  seed: number
}

export interface OwnModel {
  train(training: OwnTraining): Promise<Scorer>
  plan(input: OwnPlan): Promise<TrainingCost>
}

/** The exported function of a method's file: call it with options; `info` and `schema` describe it. */
export interface HeadMethodFactory<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>> {
  (options?: v.InferInput<Schema>): HeadMethod
  readonly info: MethodInfo
  readonly schema: Schema
}

/** Builds a method's exported function from its description, its options' schema, and its layout. */
export function defineHeadMethod<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  info: Omit<MethodInfo, 'verb'>,
  schema: Schema,
  layout: HeadMethod['layout'],
  own?: (options: Record<string, unknown>) => OwnModel,
): HeadMethodFactory<Schema> {
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): HeadMethod => {
    const options = checkMethodOptions(info.name, schema, input) as Record<string, unknown>
    const { logitAdjustment = 0 } = options
    return {
      name: info.name,
      options,
      logitAdjustment: logitAdjustment as number,
      layout,
      ...(own ? { own: own(options) } : {}),
    }
  }
  return Object.assign(factory, { info: { ...info, verb: 'train' }, schema })
}
