/** The values of a method's options for one tensor, from the settings of the recipe in their order of precedence. */
import { InputError } from '../util/errors.ts'
import type { MergeMethod, MethodDefinition, Settled } from './merge-method.ts'
import { type Scalar, type Setting, settle } from './settings.ts'

type SettingTable = Readonly<Record<string, Setting<Scalar>>>

export interface TensorSettings {
  readonly name: string
  /** The tensor's name in each model, if it differs from `name` (layer stacks). */
  readonly names?: readonly string[]
  /** Where its layer lies in its slice, 0 to 1. */
  readonly depth: number
  /** Settings of each model beside the base, strongest first; the method's own settings come last for all. */
  readonly settings: readonly (readonly SettingTable[])[]
  /** Settings between a model's and the method's: of the slice and of the module. */
  readonly shared?: readonly SettingTable[]
}

/** @throws InputError `METHOD_OPTION` for a required option without a value, and for values that do not go together. */
export function settleOptions(method: MergeMethod, tensor: TensorSettings): Settled<MethodDefinition['options']> {
  const { definition } = method
  const common = [...(tensor.shared ?? []), method.settings]
  const options: Record<string, unknown> = {}
  for (const [key, { scope, fallback }] of Object.entries(definition.options)) {
    const find = (tables: readonly SettingTable[], name: string): unknown => {
      for (const table of tables) {
        const setting = Object.hasOwn(table, key) ? table[key] : undefined
        const value = setting === undefined ? undefined : settle(setting, name, tensor.depth)
        if (value !== undefined) return value
      }
      if (fallback !== undefined) return fallback
      throw new InputError(
        'METHOD_OPTION',
        `Method ${definition.info.name} needs a value of "${key}" for this tensor`,
        {
          where: { tensor: tensor.name },
          help: `set ${key} under parameters, without a filter for all other tensors`,
          data: { option: key },
        },
      )
    }
    options[key] =
      scope === 'shared'
        ? find(common, tensor.name)
        : tensor.settings.map((tables, i) => find([...tables, ...common], tensor.names?.[i] ?? tensor.name))
  }
  const settled = options as Settled<MethodDefinition['options']>
  const fault = definition.check?.(settled)
  if (fault !== undefined)
    throw new InputError('METHOD_OPTION', fault, {
      where: { tensor: tensor.name },
      help: `see: espalier systems ${definition.info.name}`,
    })
  return settled
}
