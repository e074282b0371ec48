/** What becomes of classification heads: merged where the label sets agree, kept one per task, taken from one model, or joined by label name. */
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import { formatModelRef } from '../recipe/model-ref.ts'
import type { HeadRule, Recipe } from '../recipe/recipe.ts'
import type { Conflicts } from './conflicts.ts'
import type { MergeInput } from './merge-inputs.ts'
import type { KeptHead, PlannedTensor, RowsSource } from './merge-plan.ts'
import { storedSource } from './sources.ts'
import { isHead } from './tensor-names.ts'

export interface HeadPlan {
  readonly rule: HeadRule['kind']
  /** Heads to write as part of the model; with the rule `merge` they are ordinary tensors. */
  readonly tensors: readonly PlannedTensor[]
  readonly kept: readonly KeptHead[]
  /** Changes to the config: label names. */
  readonly config: Readonly<Record<string, unknown>>
}

/** The names of a model's labels in order, from its config; undefined if it does not say. */
export function labelNames({ checkpoint }: MergeInput): string[] | undefined {
  const table = checkpoint.config['id2label']
  if (typeof table !== 'object' || table === null) return undefined
  const entries = Object.entries(table as Record<string, unknown>).sort(([a], [b]) => Number(a) - Number(b))
  return entries.map(([, label]) => String(label))
}

const headTensors = (input: MergeInput): [string, TensorInfo][] => [...input.tensors].filter(([name]) => isHead(name))

/** Decides on the heads of the models (the base's head counts only if the base is all there is). */
export function planHeads(recipe: Recipe, models: readonly MergeInput[], conflicts: Conflicts): HeadPlan {
  const owners = models.filter((input) => headTensors(input).length > 0)
  const nothing = { tensors: [], kept: [], config: {} }
  if (owners.length === 0) return { rule: 'merge', ...nothing }
  const signature = (input: MergeInput) =>
    JSON.stringify([headTensors(input).map(([name, { shape }]) => [name, shape]), labelNames(input)])
  const agree = owners.every((input) => signature(input) === signature(owners[0]!))
  const rule = recipe.head ?? (agree ? { kind: 'merge' } : { kind: 'keep-per-task' })
  if (!recipe.head && !agree)
    conflicts.add({
      severity: 'note',
      code: 'HEADS_KEPT',
      message: `The models have different label sets: their ${owners.length} heads are kept, one per task`,
      help: 'set head: keep-per-task, "from MODEL" or merge-by-label-name',
    })
  switch (rule.kind) {
    case 'merge':
      if (!agree)
        conflicts.add({
          severity: 'error',
          code: 'HEADS_DIFFER',
          message: 'The heads cannot be merged: the models have different label sets',
          help: 'set head: keep-per-task or merge-by-label-name',
        })
      return { rule: 'merge', ...nothing, config: labelConfig(labelNames(owners[0]!)) }
    case 'keep-per-task':
      return { rule: rule.kind, ...nothing, kept: owners.map(keptHead) }
    case 'from': {
      const owner = owners.find(({ label }) => label === formatModelRef(rule.model))
      if (owner)
        return {
          rule: rule.kind,
          ...nothing,
          tensors: headTensors(owner).map(([, info]) => copied(owner, info)),
          config: labelConfig(labelNames(owner)),
        }
      conflicts.add({
        severity: 'error',
        code: 'HEAD_MISSING',
        message: `The recipe takes the head from ${formatModelRef(rule.model)}, which has none`,
        help: `models with a head: ${owners.map(({ label }) => label).join(', ')}`,
      })
      return { rule: rule.kind, ...nothing }
    }
    case 'merge-by-label-name':
      return joinByLabel(owners, conflicts)
  }
}

function keptHead(input: MergeInput): KeptHead {
  const tensors = headTensors(input).map(([, info]) => ({
    name: info.name,
    shape: info.shape,
    source: storedSource(info),
  }))
  return { key: input.key, label: input.label, tensors }
}

function copied({ key }: MergeInput, info: TensorInfo): PlannedTensor {
  const { name, shape, dtype } = info
  return { name, shape, dtype, action: 'copy', sources: [storedSource(info)], keys: [key], options: {} }
}

function labelConfig(labels: readonly string[] | undefined): Record<string, unknown> {
  if (!labels) return {}
  return {
    id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    num_labels: labels.length,
  }
}

/** One head for all labels: the row of a label is the mean over the models that have it. */
function joinByLabel(owners: readonly MergeInput[], conflicts: Conflicts): HeadPlan {
  const rule = 'merge-by-label-name'
  const labels = owners.map((input) => labelNames(input))
  const unnamed = labels.indexOf(undefined)
  if (unnamed >= 0) {
    conflicts.add({
      severity: 'error',
      code: 'LABELS_UNKNOWN',
      model: owners[unnamed]!.label,
      message: 'The config has no id2label, so its head cannot be joined by label name',
      help: 'add id2label to its config.json',
    })
    return { rule, tensors: [], kept: [], config: {} }
  }
  const all = [...new Set((labels as string[][]).flat())]
  const tensors = headTensors(owners[0]!).map(([name, first]): PlannedTensor => {
    const infos = owners.map((input) => input.tensors.get(name))
    const columns = first.shape.slice(1).reduce((product, size) => product * size, 1)
    const byLabel = infos.every((info, i) => info?.shape[0] === labels[i]!.length)
    const fits = infos.every(
      (info) =>
        info !== undefined && info.shape.slice(byLabel ? 1 : 0).join() === first.shape.slice(byLabel ? 1 : 0).join(),
    )
    if (!fits)
      conflicts.add({
        severity: 'error',
        code: 'HEADS_DIFFER',
        tensor: name,
        message: 'The heads have different shapes, so they cannot be joined by label name',
        help: 'set head: keep-per-task',
      })
    const sources = infos.flatMap((info) => (info ? [storedSource(info)] : []))
    const common = {
      name: first.name,
      dtype: first.dtype,
      keys: owners.map(({ key }) => key),
      options: {},
      action: 'average' as const,
    }
    if (!byLabel) return { ...common, shape: first.shape, sources }
    const groups = all.map((label) =>
      Int32Array.from(
        (labels as string[][]).flatMap((names, i) => (names.includes(label) ? [i, names.indexOf(label)] : [])),
      ),
    )
    const rows: RowsSource = {
      kind: 'rows',
      parts: sources,
      columns,
      part: new Int32Array(all.length).fill(-2),
      row: Int32Array.from(all.keys()),
      groups,
    }
    return { ...common, keys: [owners[0]!.key], shape: [all.length, ...first.shape.slice(1)], sources: [rows] }
  })
  return { rule, tensors, kept: [], config: labelConfig(all) }
}
