/** Espalier: train, evaluate and use text classifiers with label trees. */
export { type AlignOptions, type AlignResult, align, type TaskAlignment } from './align/align.ts'
export type { AlignMethod } from './align/align-method.ts'
export * from './align/methods/index.ts'
export { type AlignReportOptions, renderAlignReport } from './align/report/render-align-report.ts'
export type { TaskScores } from './align/task-scores.ts'
export { Classifier, type ClassifierSettings } from './classify/classifier.ts'
export { learningCurve, trainingCurves } from './classify/curves.ts'
export { type EvaluateOptions, evaluate } from './classify/evaluate.ts'
export {
  type ExportFormat,
  type ExportOptions,
  type ExportResult,
  exportModel,
} from './classify/export/export-model.ts'
export type { Parity } from './classify/export/parity.ts'
export type { HeadContext, HeadMethod } from './classify/head-method.ts'
export { defineHeadMethod } from './classify/head-method.ts'
export { type LoadOptions, loadClassifier } from './classify/load-classifier.ts'
export type { MultiTaskModel } from './classify/load-tasks.ts'
export * from './classify/methods/index.ts'
export type { PredictedPath, Prediction, PredictOptions, TrainOptions, TrainPlan } from './classify/options.ts'
export { planTrain } from './classify/plan-train.ts'
export { predict } from './classify/predict.ts'
export { type PretrainOptions, type PretrainResult, pretrain } from './classify/pretrain.ts'
export { type RateOptions, rateDataset } from './classify/rate.ts'
export { loadTasks, taskNames } from './classify/tasks.ts'
export { train } from './classify/train.ts'
export { planTrainTasks, type TrainTasksOptions, type TrainTasksPlan, trainTasks } from './classify/train-tasks.ts'
export { type Dataset, datasetOf, type RowInput, readDataset } from './data/dataset.ts'
export type { DataFormat, ReadOptions, Row, RowOptions } from './data/row.ts'
export { type Split, type SplitOptions, splitRows } from './data/split.ts'
export { writeJsonl } from './data/write-jsonl.ts'
export {
  type HpItem,
  type HpScore,
  type HpScoreOptions,
  hpScore,
  type Ladder,
  type LadderAnswer,
} from './evaluate/hp-score.ts'
export { type IdSets, idSets, type ScoredIds, scoredIds } from './evaluate/id-sets.ts'
export {
  computeMetrics,
  type EvaluationInput,
  type LabelScores,
  type LevelScores,
  type Metrics,
} from './evaluate/metrics.ts'
export { type Curve, type Report, renderReport } from './evaluate/report.ts'
export { type ExplainOptions, type Explanation, explain, type TokenAttribution } from './explain/explain.ts'
export { defineExplainMethod, type ExplainMethod } from './explain/explain-method.ts'
export type { Explainable } from './explain/explainable.ts'
export {
  type Faithfulness,
  type FaithfulnessOptions,
  type FaithfulnessScores,
  faithfulness,
} from './explain/faithfulness.ts'
export {
  attentionRollout,
  integratedGradients,
  kernelShap,
  lime,
  linearExplanation,
  occlusion,
} from './explain/methods/index.ts'
export { renderExplanations } from './explain/render-explanations.ts'
export type { HeadLayout, UnitGroup } from './labels/head-layout.ts'
export { formatPath, type LabelNode, LabelTree, type LabelTreeJson } from './labels/label-tree.ts'
export { parseLabelTree, readLabelTree } from './labels/read-label-tree.ts'
export type {
  AdapterCombination,
  AdapterToMerge,
  MergeAdaptersOptions,
  MergeAdaptersResult,
} from './merge/adapters/merge-adapters.ts'
export type { ExpertMethod, RouterStatistics } from './merge/experts/expert-method.ts'
export type { MergeExpertsOptions, MergeExpertsResult } from './merge/experts/merge-experts.ts'
export * from './merge/experts/methods/index.ts'
export type { ExpertsPlan, PlanExpertsOptions } from './merge/experts/plan-experts.ts'
export { type ExtractedTensor, type ExtractResult, extractLora } from './merge/extract/extract-lora.ts'
export { type ExtractOptions, type ExtractPlan, planExtractLora } from './merge/extract/plan-extract.ts'
export {
  type MergeOptions,
  type MergeResult,
  type MergeRunOptions,
  type ModelToMerge,
  materializeTask,
  merge,
  mergeAdapterRecipe,
  mergeAdapters,
  mergedTasks,
  mergeExperts,
  mergeRecipe,
  permuteToMatch,
  planMerge,
  planMergeExperts,
  planPermute,
  planRecipe,
  planSearch,
  searchMerge,
  searchRecipe,
} from './merge/merge.ts'
export { defineMergeMethod, type MergeMethod, type MethodDefinition, perModel, shared } from './merge/merge-method.ts'
export { mergeTensors, type TensorsToMerge } from './merge/merge-tensors.ts'
export * from './merge/methods/index.ts'
export type { PermutePlan } from './merge/permute/matchable.ts'
export type { PermuteOptions, PermuteResult } from './merge/permute/pleas.ts'
export type { Conflict, MergePlan } from './merge/plan/merge-plan.ts'
export {
  type MergeReport,
  type MergeReportCell,
  type MergeReportOptions,
  type MergeReportRow,
  mergeReport,
} from './merge/report/merge-report.ts'
export { renderMergeReport } from './merge/report/render-merge-report.ts'
export type {
  SearchCandidate,
  SearchPlan,
  SearchRecipeOptions,
  SearchRecipeResult,
  SearchSpace,
} from './merge/search/search-recipe.ts'
export type {
  NamedWeights,
  SearchMergeOptions,
  SearchMergeResult,
} from './merge/search/unconstrained-merge.ts'
export type { Condition, Setting } from './merge/settings.ts'
export type { MaterializedTask, MaterializeOptions } from './merge/tasks/materialize.ts'
export type { MergedTask } from './merge/tasks/task-index.ts'
export type { DataMergeMethod } from './merge/with-data/data-merge-method.ts'
export {
  type MergeWithDataOptions,
  type MergeWithDataResult,
  mergeWithData,
  planMergeWithData,
} from './merge/with-data/merge-with-data.ts'
export * from './merge/with-data/methods/index.ts'
export { type FewShotOptions, type FewShotRows, fewShotPaths } from './select/few-shot-paths.ts'
export * from './taxonomy/methods/index.ts'
export { type OrganizeOptions, type OrganizeResult, organize } from './taxonomy/organize.ts'
export type { OrganizeMethod } from './taxonomy/organize-method.ts'
export { type SchemaQuality, schemaQuality } from './taxonomy/schema-quality.ts'
export { tfIdfVectors, type UnitVectors, unitVectors } from './taxonomy/text-vectors.ts'
export {
  asymmetricLoss,
  focalLoss,
  type Loss,
  type LossInfo,
  treeMarginLoss,
  treeSmoothingLoss,
  zlprLoss,
} from './train/losses/index.ts'
export { EspalierError, InputError, InterruptedError, type Place, RunError } from './util/errors.ts'
export type { MethodInfo } from './util/method.ts'
export type { Progress, RunOptions } from './util/progress.ts'
export { version } from './util/version.ts'
