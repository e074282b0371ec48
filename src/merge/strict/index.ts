/** mergekit's methods in mergekit's arithmetic, for comparison with it: what `--strict-mergekit` uses instead of the catalogue's. */
import { InputError, type Place } from '../../util/errors.ts'
import { linear, passthrough } from './averages.ts'
import { ram, ramplusTl, sce } from './elected.ts'
import { arceeFusion, modelStock, nearswap } from './near-base.ts'
import { karcher, multislerp, nuslerp, slerp } from './spheres.ts'
import type { StrictDefinition } from './strict-method.ts'
import {
  breadcrumbs,
  breadcrumbsTies,
  dareLinear,
  dareTies,
  della,
  dellaLinear,
  taskArithmetic,
  ties,
} from './task-vectors.ts'

const definitions: readonly StrictDefinition[] = [
  linear,
  passthrough,
  slerp,
  nuslerp,
  multislerp,
  karcher,
  taskArithmetic,
  ties,
  dareLinear,
  dareTies,
  della,
  dellaLinear,
  breadcrumbs,
  breadcrumbsTies,
  modelStock,
  nearswap,
  arceeFusion,
  sce,
  ram,
  ramplusTl,
]

/** @throws InputError `METHOD_UNKNOWN` for a method that mergekit does not have. */
export function findStrictMethod(name: string, where: Place = {}): StrictDefinition {
  const found = definitions.find(({ info }) => info.name === name.replaceAll('_', '-'))
  if (found) return found
  throw new InputError('METHOD_UNKNOWN', `mergekit 0.1.5 has no merge method "${name.replaceAll('-', '_')}"`, {
    where,
    help: 'leave out --strict-mergekit, or choose one of its methods',
    data: { known: definitions.map(({ info }) => info.name) },
  })
}
