/** The specialists of the merging suite as merges with data take them: weights in memory, and drawn rows of each task. */
import { LabelTree } from '../../dist/index.js'
import { bareName, type Specialists } from '../../dist/merge/with-data/specialists.js'
import { encoderModel } from '../../dist/models/index.js'
import { permutation, random } from '../../dist/tensor/random.js'
import { type MergeSuite, readWeights } from './merge-suite.ts'

/** All specialists with `count` rows of each task. */
export async function suiteSpecialists(
  suite: MergeSuite,
  count: number,
  split: 'train' | 'validation' = 'train',
): Promise<Specialists> {
  const models: Specialists['models'][number][] = []
  for (const task of suite.specialists) {
    const { folder, labels } = task
    const { tokens, targets } = task[split]
    const model = encoderModel(suite.config, { units: labels.length, pooling: 'mean' })
    const tree = LabelTree.fromPaths(labels.map((label) => [label]))
    const unitNodes = Int32Array.from(labels, (label) => tree.find([label])!)
    const order = permutation(tokens.length, random('suite rows', suite.seed)).subarray(0, count)
    models.push({
      folder,
      model,
      weights: await readWeights(folder, true),
      layout: { activation: 'softmax', unitNodes, groups: [{ parent: -1, start: 0, end: labels.length }] },
      tree,
      rows: {
        texts: [],
        tokens: Array.from(order, (i) => tokens[i]!),
        labels: Array.from(order, (i) => [unitNodes[targets[i]!]!]),
      },
    })
  }
  const shared = models[0]!.model.parameters.filter(({ name }) => !bareName(name).startsWith('classifier.'))
  return {
    models,
    base: new Map(shared.map(({ name }) => [name, suite.base.get(name)!])),
    shared: shared.map(({ name }) => name),
    shapes: new Map(shared.map(({ name, shape }) => [name, shape])),
  }
}
