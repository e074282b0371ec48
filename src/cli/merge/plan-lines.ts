/** A merge's plan for people and for programs: inputs, effective weights, conflicts, cost. */
import type { Conflict, MergePlan } from '../../merge/plan/merge-plan.ts'
import { formatPlace } from '../../util/errors.ts'
import { formatBytes, formatNumber, formatSeconds, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { wrap } from '../text-width.ts'

export function planDocument(plan: MergePlan): Record<string, unknown> {
  const { tensors, heads, ...rest } = plan
  const shown = tensors.map(({ name, shape, dtype, action, keys, options }) => ({
    name,
    shape,
    dtype,
    action,
    models: keys,
    options,
  }))
  return {
    ...rest,
    heads: heads.map(({ label, tensors }) => ({ model: label, tensors: tensors.map(({ name }) => name) })),
    tensors: shown,
  }
}

export function planLines(file: string, plan: MergePlan, session: Session): string[] {
  const { paint, columns } = session.stdout
  const room = columns - 12
  const { inputs, weights, heads, conflicts, tensors } = plan
  const base = inputs.find((input) => input.base)
  const counts = [...new Set(inputs.map((input) => input.tensors))]
  const shared = tensors.find(({ action }) => action === 'merge')
  const errors = conflicts.filter(({ severity }) => severity === 'error')
  const entries: [string, string | string[]][] = [
    [
      'recipe',
      wrap(
        `${file} · ${plan.method.replaceAll('-', '_')}${optionText(shared?.options)}${base ? ` · base ${base.label}` : ''} · ${plural(inputs.length - (base ? 1 : 0), 'model')}`,
        room,
      ),
    ],
    [
      'inputs',
      wrap(
        `${inputs.length} × ${sizeRange(inputs.map(({ bytes }) => bytes))} ${[...new Set(inputs.flatMap(({ dtypes }) => dtypes))].join(', ').toLowerCase()}, ${counts.length === 1 ? plural(counts[0]!, 'tensor') : `${Math.min(...counts)} to ${Math.max(...counts)} tensors`} each`,
        room,
      ),
    ],
    [
      'output',
      `${formatBytes(plan.writeBytes)} ${plan.outputDtype.toLowerCase()}, ${plural(tensors.length, 'tensor')}`,
    ],
  ]
  if (heads.length > 0) entries.push(['heads', `${heads.length} kept, one per task (not merged)`])
  if (weights.length > 0)
    entries.push([
      'effective',
      wrap(weights.map(({ key, least, most }) => `${key} ${weightText(least, most)}`).join('   '), room),
    ])
  if (conflicts.length > 0)
    entries.push(['conflicts', conflicts.flatMap((conflict) => conflictLines(conflict, session, room))])
  entries.push([
    'cost',
    wrap(
      `reads ${formatBytes(plan.readBytes)}, writes ${formatBytes(plan.writeBytes)}, peak memory ${formatBytes(plan.peakBytes)}, about ${formatSeconds(plan.seconds)} on ${plural(plan.threads, 'thread')}`,
      room,
    ),
  ])
  const lines = facts(entries, (label) => paint('dim', label))
  if (errors.length > 0) lines.push(`${plural(errors.length, 'conflict')} must be settled before this can run.`)
  return lines
}

const weightText = (least: number, most: number): string =>
  least === most ? formatNumber(least) : `${formatNumber(least)} to ${formatNumber(most)}`

function sizeRange(bytes: readonly number[]): string {
  const [least, most] = [Math.min(...bytes), Math.max(...bytes)].map(formatBytes)
  return least === most ? least! : `${least} to ${most}`
}

/** The values that are the same for all models, of the first merged tensor. */
function optionText(options: Readonly<Record<string, unknown>> = {}): string {
  const parts = Object.entries(options).flatMap(([key, value]) => {
    const values = Array.isArray(value) ? [...new Set(value)] : [value]
    return key === 'weight' || values.length !== 1 ? [] : [`${key} ${String(values[0])}`]
  })
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

export function conflictLines(
  { severity, model, message, help, where }: Conflict,
  session: Session,
  room: number,
): string[] {
  const { paint } = session.stdout
  const mark =
    severity === 'error' ? paint('red', '✖') : severity === 'warning' ? paint('yellow', '⚠') : paint('dim', '·')
  const place = where === undefined ? '' : ` (${formatPlace(where)})`
  const text = `${model === undefined ? '' : `${model}: `}${message}${place}${help === undefined ? '' : ` → ${help}`}`
  return wrap(text, room - 2).map((line, i) => (i === 0 ? `${mark} ${line}` : `  ${line}`))
}
