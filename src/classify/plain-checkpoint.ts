/** A classification checkpoint in the Hugging Face layout that came without our files: what its config.json says of labels. */
import { LabelTree } from '../labels/label-tree.ts'
import { InputError } from '../util/errors.ts'
import type { ClassifierSettings } from './classifier-settings.ts'

/** Tree and settings of a checkpoint that came without ours: a flat tree of `id2label`, softmax unless its config says multi-label. */
export function plainCheckpoint(
  config: Record<string, unknown>,
  file: string,
): { tree: LabelTree; settings: ClassifierSettings } {
  const id2label = config['id2label']
  if (typeof id2label !== 'object' || id2label === null || Object.keys(id2label).length < 2) {
    throw new InputError('MODEL_FORMAT', 'The checkpoint has no classification head', {
      where: { file, key: 'id2label' },
      help: 'train a head on it: espalier train DATA --encoder FOLDER --out DIR',
    })
  }
  const names = Object.entries(id2label)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, name]) => String(name))
  if (new Set(names).size < names.length)
    throw new InputError('LABEL_DUPLICATE', 'Two outputs of the checkpoint have the same label', {
      where: { file, key: 'id2label' },
    })
  const tree = LabelTree.fromPaths(
    names.map((name) => [name]),
    file,
  )
  const unitNodes = names.map((name) => tree.find([name])!)
  const multiLabel = config['problem_type'] === 'multi_label_classification'
  return {
    tree,
    settings: {
      format: 1,
      method: { name: 'flat', options: {} },
      multiLabel,
      layout: {
        activation: multiLabel ? 'sigmoid' : 'softmax',
        unitNodes,
        groups: [{ parent: -1, start: 0, end: names.length }],
      },
      terminals: [...unitNodes].sort((a, b) => a - b),
      temperature: 1,
      ...(multiLabel ? { thresholds: names.map(() => 0.5) } : {}),
      minConfidence: 0,
    },
  }
}
