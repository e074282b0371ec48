/** The options of `espalier merge`, and what its parts share. */
import { InputError } from '../../util/errors.ts'

/** What merges can be chosen by; all from 0 to 1, the more the better. */
export const searchMetrics = ['exactPath', 'leafAccuracy', 'microF1', 'macroF1', 'hierarchicalF1'] as const
export type SearchMetric = (typeof searchMetrics)[number]

export interface MergeFlags {
  plan?: boolean
  seed?: number
  threads?: number
  maxMemory?: number
  maxShardSize?: number
  resume?: boolean
  force?: boolean
  strictMergekit?: boolean
  report?: string
  task?: string
  base?: string
  experts?: number
  method?: string
  methodOption?: string[]
  statistics?: string
  match?: string
  align?: string
  search?: string
  grid?: string[]
  metric?: SearchMetric
  shots?: number
  data?: string
  rows?: number
}

/** Only the options that were given. */
export function given<T extends object>(options: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}

/** The output folder of a command that was written without --plan. */
export function requiredOut(out: string | undefined, usage: string): string {
  if (out !== undefined) return out
  throw new InputError('USAGE', 'Missing argument OUT', { help: `name the folder to write: ${usage}` })
}
