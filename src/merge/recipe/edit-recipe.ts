/** Recipes with other parameters: a search changes the YAML itself, so that what it finds is a recipe again. */
import { isMap, isSeq, parseDocument } from 'yaml'
import type { Condition, Scalar } from '../settings.ts'

/** `selectTopk` to `select_topk`: the names that recipes use. */
export const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

type Parameter = Scalar | readonly Condition<Scalar>[]

/**
 * The recipe's text with parameters set.
 * @param shared parameters of the whole recipe, by option name.
 * @param perModel parameters of each model under `models`, in their order.
 */
export function withParameters(
  text: string,
  shared: Readonly<Record<string, Parameter>>,
  perModel: readonly Readonly<Record<string, Parameter>>[] = [],
): string {
  const document = parseDocument(text)
  const set = (path: readonly (string | number)[], key: string, value: Parameter) => {
    const parent = document.getIn(path)
    if (!isMap(parent)) document.setIn(path, document.createNode({}))
    document.setIn([...path, snakeCase(key)], document.createNode(value))
  }
  for (const [key, value] of Object.entries(shared)) set(['parameters'], key, value)
  for (const [index, parameters] of perModel.entries())
    for (const [key, value] of Object.entries(parameters)) set(['models', index, 'parameters'], key, value)
  return document.toString({ lineWidth: 0 })
}

/** The models that a recipe lists under `models`, as it writes them; undefined for recipes of slices or modules. */
export function listedModels(text: string): string[] | undefined {
  const models = parseDocument(text).get('models')
  if (!isSeq(models)) return undefined
  return models.items.map((_, index) => String(models.getIn([index, 'model'])))
}
