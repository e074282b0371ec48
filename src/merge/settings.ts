/**
 * Settings of a recipe: a value, a gradient over the layers, or a list of values with tensor-name filters. Names, meaning and order of
 * precedence are those of mergekit's YAML (Goddard et al., 2024).
 */

export type Scalar = number | boolean | string

/** A value for tensors whose name holds `filter`; without a filter (or with `*`) for all. */
export interface Condition<T> {
  readonly filter?: string | undefined
  readonly value: T | readonly T[]
}

/** One value for all tensors, a gradient from the first to the last layer, or the first condition whose filter fits. */
export type Setting<T> = T | readonly T[] | Condition<T> | readonly Condition<T>[]

export function isCondition(value: unknown): value is Condition<unknown> {
  return typeof value === 'object' && value !== null && 'value' in value
}

/** Every scalar that a setting can give (gradients interpolate between them). */
export function scalarsOf<T>(setting: Setting<T>): T[] {
  if (Array.isArray(setting)) return (setting as readonly (T | Condition<T>)[]).flatMap((part) => scalarsOf<T>(part))
  if (isCondition(setting)) return scalarsOf<T>((setting as Condition<T>).value)
  return [setting as T]
}

/**
 * The value of a setting for one tensor, or undefined if no filter fits.
 * @param depth where the tensor's layer lies: 0 the first of its slice, 1 the last. Numbers are interpolated, other values picked.
 */
export function settle<T>(setting: Setting<T>, tensor: string, depth: number): T | undefined {
  if (isCondition(setting)) return settle<T>([setting as Condition<T>], tensor, depth)
  if (!Array.isArray(setting)) return setting as T
  if (setting.length > 0 && isCondition(setting[0])) {
    const conditions = setting as readonly Condition<T>[]
    const fitting = conditions.find(({ filter }) => filter === undefined || filter === '*' || tensor.includes(filter))
    return fitting === undefined ? undefined : settle<T>(fitting.value as Setting<T>, tensor, depth)
  }
  return interpolate(setting as readonly T[], depth)
}

function interpolate<T>(points: readonly T[], depth: number): T | undefined {
  if (points.length === 0) return undefined
  const place = depth * (points.length - 1)
  const left = Math.trunc(place)
  if (!points.every((point) => typeof point === 'number')) return points[left]
  const numbers = points as readonly number[]
  const share = place - left
  const right = Math.min(points.length - 1, left + 1)
  return ((1 - share) * numbers[left]! + share * numbers[right]!) as T
}
