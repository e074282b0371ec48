/**
 * The units of an encoder that may change places, and the axes of tensors that go with them: the residual stream, the neurons of each layer, the
 * heads of each layer with the dimensions inside them, and the units of the pooler. For BERT, RoBERTa and DistilBERT.
 */
import type { EncoderConfig } from '../../models/encoder.ts'

/** A group of units: `residual`, `pooled`, `neurons.LAYER`, `queries.LAYER` (of queries and keys), `values.LAYER`. */
export type UnitGroup = string

/** The group of each axis of a tensor; undefined where an axis stays as it is. */
export type TensorAxes = readonly (UnitGroup | undefined)[]

/** Whether a group's units are dimensions of heads, which move within their head and with it. */
export const isHeadGroup = (group: UnitGroup): boolean => /^(queries|values)\./.test(group)

const bertParts: Record<string, (layer: string) => TensorAxes> = {
  'attention.self.query': (l) => [`queries.${l}`, 'residual'],
  'attention.self.key': (l) => [`queries.${l}`, 'residual'],
  'attention.self.value': (l) => [`values.${l}`, 'residual'],
  'attention.output.dense': (l) => ['residual', `values.${l}`],
  'attention.output.LayerNorm': () => ['residual'],
  'intermediate.dense': (l) => [`neurons.${l}`, 'residual'],
  'output.dense': (l) => ['residual', `neurons.${l}`],
  'output.LayerNorm': () => ['residual'],
}
const distilbertParts: Record<string, (layer: string) => TensorAxes> = {
  'attention.q_lin': bertParts['attention.self.query']!,
  'attention.k_lin': bertParts['attention.self.key']!,
  'attention.v_lin': bertParts['attention.self.value']!,
  'attention.out_lin': bertParts['attention.output.dense']!,
  sa_layer_norm: () => ['residual'],
  'ffn.lin1': bertParts['intermediate.dense']!,
  'ffn.lin2': bertParts['output.dense']!,
  output_layer_norm: () => ['residual'],
}

/** The axes of a tensor by its name without the family's prefix, or undefined for tensors that are not known. */
export function axesOf(name: string, hasPooler: boolean): TensorAxes | undefined {
  const [module, kind] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.') + 1)]
  const weight = (axes: TensorAxes): TensorAxes => (kind === 'bias' ? axes.slice(0, 1) : axes)
  if (/^embeddings\.\w+_embeddings$/.test(module)) return [undefined, 'residual']
  if (module === 'embeddings.LayerNorm') return ['residual']
  if (/^(pooler\.dense|pre_classifier|classifier\.dense)$/.test(module)) return weight(['pooled', 'residual'])
  if (/^(classifier|classifier\.out_proj)$/.test(module)) return weight([undefined, hasPooler ? 'pooled' : 'residual'])
  const [, layer, part] = /^(?:encoder|transformer)\.layer\.(\d+)\.(.+)$/.exec(module) ?? []
  const axes = part === undefined ? undefined : (bertParts[part] ?? distilbertParts[part])
  return axes && weight(axes(layer!))
}

/** The groups in the order in which they are matched, and their numbers of units. */
export function unitGroups(config: EncoderConfig, hasPooler: boolean): Map<UnitGroup, number> {
  const groups = new Map<UnitGroup, number>([['residual', config.hiddenSize]])
  for (let layer = 0; layer < config.layers; layer++) {
    groups.set(`queries.${layer}`, config.hiddenSize)
    groups.set(`values.${layer}`, config.hiddenSize)
    groups.set(`neurons.${layer}`, config.intermediateSize)
  }
  if (hasPooler) groups.set('pooled', config.hiddenSize)
  return groups
}
