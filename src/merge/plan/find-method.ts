/** Merge methods by the names that recipes use. */
import { InputError, type Place } from '../../util/errors.ts'
import { nearest } from '../../util/suggest.ts'
import type { MergeMethodFactory } from '../merge-method.ts'
import * as methods from '../methods/index.ts'
import * as dataMethods from '../with-data/methods/index.ts'

/** All methods, in order of their names. */
export const mergeMethods: readonly MergeMethodFactory[] = (Object.values(methods) as MergeMethodFactory[]).sort(
  (a, b) => (a.info.name < b.info.name ? -1 : 1),
)

/** The method of that name; `dare_ties` and `dare-ties` are one. Throws InputError `METHOD_UNKNOWN`. */
export function findMergeMethod(name: string, where: Place = {}): MergeMethodFactory {
  const wanted = name.replaceAll('_', '-')
  const found = mergeMethods.find(({ info }) => info.name === wanted)
  if (found) return found
  const names = mergeMethods.map(({ info }) => info.name.replaceAll('-', '_'))
  if (Object.values(dataMethods).some(({ info }) => info.name === wanted))
    throw new InputError(
      'METHOD_UNKNOWN',
      `Merge method "${name.replaceAll('-', '_')}" looks at data, and none is given`,
      {
        where,
        help: 'name a folder with rows of each model: espalier merge RECIPE.yml OUT --data DIR',
      },
    )
  const guess = nearest(name.replaceAll('-', '_'), names)
  throw new InputError('METHOD_UNKNOWN', `There is no merge method "${name.replaceAll('-', '_')}"`, {
    where,
    help: guess === undefined ? `methods: ${names.join(', ')}` : `did you mean "${guess}"?`,
    data: { known: names },
  })
}
