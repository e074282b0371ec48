/** Which tokens of a text speak for a label: the verb explain, with the method that suits the model. */
import { explain } from '../../explain/explain.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { TextJob } from './answer-text.ts'
import type { Attribution } from './api.ts'
import { openModel } from './open-models.ts'

export interface AttributionJob extends TextJob {
  /** Id of the label; the most probable one without it. */
  target?: number
}

export async function attributeText(
  { folder, head, text, target }: AttributionJob,
  options: RunOptions,
): Promise<Attribution> {
  const model = await openModel(folder, head, options)
  const { tree } = model
  if (target !== undefined && !(Number.isInteger(target) && target >= 0 && target < tree.size))
    throw new InputError('STUDIO_LABEL', `Expected the id of a label from 0 to ${tree.size - 1}, received ${target}`)
  const label = target === undefined ? {} : { label: tree.path(target) }
  const [explanation] = await explain(model, [text], { ...options, ...label })
  const { method, probability, score, tokens, truncated } = explanation!
  const { kind, value, base } = score
  return {
    method,
    target: { id: tree.find(explanation!.label)!, path: explanation!.label },
    probability,
    score: { kind, value, ...(base === undefined ? {} : { base }) },
    tokens: tokens.map(({ text, start, end, value }) => ({ text, start, end, value })),
    truncated,
  }
}
