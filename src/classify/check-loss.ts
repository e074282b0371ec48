/** Whether a loss can be trained with: a typed error says why not, before anything is trained. */
import type { HeadLayout } from '../labels/head-layout.ts'
import type { LabelTree } from '../labels/label-tree.ts'
import { treeShape } from '../labels/tree-distance.ts'
import { type Loss, type LossJob, lossOf } from '../train/losses/index.ts'
import { InputError } from '../util/errors.ts'
import type { HeadMethod } from './head-method.ts'

/** @throws InputError `LOSS_UNUSED` where nothing would be trained with it, `LOSS_DATA` where it does not suit the head or the tree. */
export function checkLoss(loss: Loss, method: HeadMethod, encoder: string, layout: HeadLayout, tree: LabelTree): void {
  const where = { key: 'loss' }
  if (method.own !== undefined || encoder === 'ngram')
    throw new InputError(
      'LOSS_UNUSED',
      `The loss ${loss.name} is for encoders; ${method.own === undefined ? 'the ngram model' : method.name} has its own`,
      { where, help: 'leave it out, or choose an encoder and a method with a head on it' },
    )
  const { activation, needsTree } = lossOf(loss.name).info
  if (activation !== undefined && activation !== layout.activation) {
    const [expected, received] = ['one label of a group', 'each label on its own']
    throw new InputError(
      'LOSS_DATA',
      activation === 'softmax'
        ? `The loss ${loss.name} expects a head that chooses ${expected}, ${method.name} decides ${received} here`
        : `The loss ${loss.name} expects a head that decides ${received}, ${method.name} chooses ${expected} here`,
      {
        where,
        help:
          activation === 'softmax'
            ? 'with several labels a row: --loss focal, asymmetric or zlpr'
            : 'with one label a row: --loss focal, tree-smoothing or tree-margin, or --method per-node',
      },
    )
  }
  if (needsTree) treeShape(tree)
}

/** The loss as a training job carries it. @throws InputError `LOSS_UNUSED` if the method has an objective of its own. */
export function lossJob(loss: Loss, method: HeadMethod, ownObjective: boolean, tree: LabelTree): LossJob {
  if (ownObjective)
    throw new InputError('LOSS_UNUSED', `${method.name} has a loss of its own, ${loss.name} has no place in it`, {
      where: { key: 'loss' },
      help: 'leave it out, or use --method flat, conditional-softmax, per-node, caml, laat or plant',
    })
  return { ...loss, ...(lossOf(loss.name).info.needsTree ? { tree: treeShape(tree) } : {}) }
}
