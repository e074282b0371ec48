/**
 * Head methods: how a classifier's outputs are laid out over the label tree. A method is one file that exports one function of its options;
 * training, decoding and files are shared by all.
 */
import type * as v from 'valibot'
import type { HeadLayout, HeadTargets } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import type { EncoderConfig } from '../models/encoder.ts'
import type { SlotConfig } from '../models/slots/slot-config.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import type { TokenRows } from '../train/batches.ts'
import type { TrainOptions as LoopOptions } from '../train/encoder-job.ts'
import type { ObjectiveConfig } from '../train/objectives/objective.ts'
import type { MethodInfo } from '../util/method.ts'
import { checkMethodOptions } from '../util/method-options.ts'
import type { RunOptions } from '../util/progress.ts'
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
  /** Set by a method that reads the text through slots of an encoder. */
  readonly slots?: SlotMethod
  /** Set by a method that has its own kind of model, in place of a head on an encoder. */
  readonly own?: OwnModel
}

/** A method of slots: what stands between the states of an encoder's tokens and the logits, and what is minimised besides the layout's loss. */
export interface SlotMethod {
  /** The slot head, from the tree alone: a plan needs no more. */
  slots(tree: LabelTree, layout: HeadLayout, config: EncoderConfig): SlotConfig
  /** What needs the training rows, the tokenizer or the checkpoint's tensors. Default: nothing. */
  prepare?(input: SlotInput): Promise<SlotStart> | SlotStart
}

/** What a method of slots may look at before training. */
export interface SlotInput {
  readonly tree: LabelTree
  readonly layout: HeadLayout
  readonly slots: SlotConfig
  readonly config: EncoderConfig
  readonly tokenizer: Tokenizer
  readonly train: LabelledTexts
  readonly targets: HeadTargets
  /** The training texts as tokens. */
  readonly rows: TokenRows
  readonly seed: number
  /** The encoder starts from chance: nothing is known of any word. */
  readonly fresh: boolean
  /** For long preparations. */
  readonly run: RunOptions
  /** First values of the encoder's tensors, by name (those of the token table with chance's values for an encoder from scratch). */
  weights(name: string): Promise<Float32Array>
  /** A tensor of the checkpoint that the encoder has no use for; undefined if there is none. */
  spare(name: string): Promise<Float32Array | undefined>
  /** Last hidden states of texts by the encoder as it starts, [tokens, hidden] each. */
  states(texts: readonly Int32Array[]): Promise<Float32Array[]>
  readonly tokenTable: string
}

export interface SlotStart {
  /** First values of parameters, by name. */
  readonly initial?: ReadonlyMap<string, Float32Array>
  readonly objective?: ObjectiveConfig
  /** Settings of the training loop unless the caller says otherwise. */
  readonly defaults?: Partial<LoopOptions>
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
  /** The layout alone, for methods that share it. */
  readonly layout: HeadMethod['layout']
}

/** What a method is besides a layout, from its settled options. */
export interface MethodKind {
  own?(options: Record<string, unknown>): OwnModel
  slots?(options: Record<string, unknown>): SlotMethod
}

/** Builds a method's exported function from its description, its options' schema, and its layout. */
export function defineHeadMethod<Schema extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  info: Omit<MethodInfo, 'verb'>,
  schema: Schema,
  layout: HeadMethod['layout'],
  kind: MethodKind = {},
): HeadMethodFactory<Schema> {
  const factory = (input: v.InferInput<Schema> = {} as v.InferInput<Schema>): HeadMethod => {
    const options = checkMethodOptions(info.name, schema, input) as Record<string, unknown>
    const { logitAdjustment = 0 } = options
    return {
      name: info.name,
      options,
      logitAdjustment: logitAdjustment as number,
      layout,
      ...(kind.own ? { own: kind.own(options) } : {}),
      ...(kind.slots ? { slots: kind.slots(options) } : {}),
    }
  }
  return Object.assign(factory, { info: { ...info, verb: 'train' as const }, schema, layout })
}
