/** Whether the settings of a merge of experts suit the checkpoint: how many stay, and what is known of the routers. */
import * as v from 'valibot'
import { InputError } from '../../util/errors.ts'
import type { RouterStatistics } from './expert-method.ts'

const finite = v.pipe(v.number(), v.finite())
const statisticsSchema = v.object({
  usage: v.array(v.pipe(finite, v.minValue(0))),
  logits: v.optional(v.array(v.array(finite))),
  outputs: v.optional(v.array(v.array(finite))),
})

/** Throws InputError `OPTION_RANGE` or `EXPERTS_STATISTICS` unless so many experts can stay and the statistics are those of the layers. */
export function checkExpertOptions(
  { experts, statistics }: { experts: number; statistics?: readonly RouterStatistics[] },
  layers: number,
  before: number,
  perToken: number,
): void {
  if (!Number.isInteger(experts) || experts < perToken || experts > before)
    throw new InputError('OPTION_RANGE', `Expected ${perToken} to ${before} experts to stay, received ${experts}`, {
      where: { key: 'experts' },
      help: `each token goes to ${perToken}`,
    })
  if (!statistics) return
  const fault = (message: string) =>
    new InputError('EXPERTS_STATISTICS', message, {
      where: { key: 'statistics' },
      help: 'give the statistics of each layer',
    })
  if (!Array.isArray(statistics) || statistics.length !== layers)
    throw fault(
      `Expected statistics of ${layers} layers, received ${Array.isArray(statistics) ? statistics.length : 'another value'}`,
    )
  for (const [layer, given] of statistics.entries()) {
    const parsed = v.safeParse(statisticsSchema, given)
    if (!parsed.success) {
      const issue = parsed.issues[0]
      throw fault(`Layer ${layer}, ${v.getDotPath(issue) ?? 'all of it'}: ${issue.message}`)
    }
    const { usage, logits = [], outputs = usage.map(() => []) } = parsed.output
    for (const [name, list] of Object.entries({ usage, outputs, 'a row of logits': logits[0] ?? usage }))
      if (list.length !== before)
        throw fault(`Layer ${layer}: expected ${name} of ${before} experts, received ${list.length}`)
    if (
      [...logits, usage].some((row) => row.length !== before) ||
      outputs.some((row) => row.length !== outputs[0]!.length)
    )
      throw fault(`Layer ${layer}: rows differ in length`)
  }
}
