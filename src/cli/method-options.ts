/** Options of methods, read from their valibot schemas: described for people, and typed from `key=value` on the command line. */
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'

export interface OptionInfo {
  name: string
  type: 'number' | 'integer' | 'boolean' | 'text' | 'choice' | 'list' | 'either' | 'value'
  required: boolean
  default?: unknown
  least?: number
  most?: number
  /** The range's ends are not allowed themselves. */
  above?: number
  below?: number
  choices?: unknown[]
  /** Of a list: its items. */
  items?: OptionInfo
  /** Of values of several kinds: each kind. */
  kinds?: OptionInfo[]
  description?: string
}

/** The parts of valibot's schema objects that are read here. */
interface SchemaNode {
  kind?: string
  type: string
  wrapped?: SchemaNode
  default?: unknown
  pipe?: SchemaNode[]
  item?: SchemaNode
  options?: unknown[]
  literal?: unknown
  requirement?: unknown
  description?: string
}

export interface SchemaWithEntries {
  entries: Record<string, unknown>
}

/** What options a method takes. */
export function describeOptions(schema: SchemaWithEntries): OptionInfo[] {
  return Object.entries(schema.entries).map(([name, node]) => describe(name, node as SchemaNode))
}

function describe(name: string, node: SchemaNode): OptionInfo {
  if (node.wrapped !== undefined && node.pipe === undefined) {
    const inner = describe(name, node.wrapped)
    const fallback = typeof node.default === 'function' ? node.default() : node.default
    return { ...inner, required: false, ...(fallback === undefined ? {} : { default: fallback }) }
  }
  const info: OptionInfo = { name, type: typeOf(node), required: true }
  if (node.type === 'picklist' || node.type === 'enum') info.choices = node.options ?? []
  if (node.type === 'literal') info.choices = [node.literal]
  if (info.type === 'choice' && node.type === 'union')
    info.choices = (node.options as SchemaNode[]).map(({ literal }) => literal)
  if (info.type === 'either') info.kinds = (node.options as SchemaNode[]).map((kind) => describe(name, kind))
  if (node.type === 'array' && node.item) info.items = describe(name, node.item)
  for (const step of node.pipe ?? []) {
    if (step.type === 'integer' || step.type === 'safe_integer') info.type = 'integer'
    if (step.type === 'min_value') info.least = Number(step.requirement)
    if (step.type === 'max_value') info.most = Number(step.requirement)
    if (step.type === 'gt_value') info.above = Number(step.requirement)
    if (step.type === 'lt_value') info.below = Number(step.requirement)
    if (step.kind === 'metadata' && step.type === 'description' && step.description) info.description = step.description
  }
  return info
}

function typeOf(node: SchemaNode): OptionInfo['type'] {
  if (node.type === 'number' || node.type === 'boolean') return node.type
  if (node.type === 'string') return 'text'
  if (node.type === 'array') return 'list'
  if (node.type === 'union')
    return (node.options as SchemaNode[]).every(({ type }) => type === 'literal') ? 'choice' : 'either'
  return ['picklist', 'enum', 'literal'].includes(node.type) ? 'choice' : 'value'
}

/** `number from 0 to 10`, `one of a, b`, `true or false`, `number above 0, or auto`. */
export function describeType(info: OptionInfo): string {
  if (info.type === 'choice')
    return info.choices!.length === 1 ? String(info.choices![0]) : `one of ${info.choices!.join(', ')}`
  if (info.type === 'either') return info.kinds!.map(describeType).join(', or ')
  if (info.type === 'boolean') return 'true or false'
  if (info.type === 'list') return `list of ${info.items ? describeType(info.items) : 'values'}, separated by commas`
  if (info.type !== 'number' && info.type !== 'integer') return info.type
  const { least, most, above, below } = info
  const kind = info.type === 'integer' ? 'whole number' : 'number'
  const low = least !== undefined ? `from ${least}` : above !== undefined ? `above ${above}` : ''
  const high = most !== undefined ? `to ${most}` : below !== undefined ? `below ${below}` : ''
  return [kind, low, high].filter(Boolean).join(' ')
}

/** `key=value` pairs as a method's options object, each value of the type that the schema asks for. Ranges are checked by the method itself. */
export function parseMethodOptions(
  method: string,
  schema: SchemaWithEntries,
  pairs: readonly string[],
  flag = '--method-option',
): Record<string, unknown> {
  const infos = describeOptions(schema)
  const options: Record<string, unknown> = {}
  for (const pair of pairs) {
    const [, key, text] = /^([^=]+)=(.*)$/s.exec(pair) ?? []
    if (key === undefined || text === undefined)
      throw new InputError('METHOD_OPTION', `${flag} expects key=value, received "${pair}"`, {
        help: `see: espalier systems ${method}`,
      })
    const info = infos.find(({ name }) => name === key)
    if (!info) {
      const names = infos.map(({ name }) => name)
      const fallback = names.length === 0 ? `${method} has no options` : `${method} takes: ${names.join(', ')}`
      throw new InputError('METHOD_OPTION', `Unknown option "${key}" of method ${method}`, {
        where: { key: `${flag} ${pair}` },
        help: didYouMean(key, names, fallback),
      })
    }
    options[key] = typedValue(info, text, `${flag} ${pair}`)
  }
  return options
}

function typedValue(info: OptionInfo, text: string, pair: string): unknown {
  const value = parseValue(info, text, pair)
  if (value === undefined)
    throw new InputError('METHOD_OPTION', `${info.name} expects ${describeType(info)}, received "${text}"`, {
      where: { key: pair },
    })
  return value
}

function parseValue(info: OptionInfo, text: string, pair: string): unknown {
  switch (info.type) {
    case 'number':
    case 'integer': {
      const value = text.trim() === '' ? Number.NaN : Number(text)
      return Number.isNaN(value) || (info.type === 'integer' && !Number.isInteger(value)) ? undefined : value
    }
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined
    case 'choice':
      return info.choices!.find((choice) => String(choice) === text)
    case 'either':
      for (const kind of info.kinds!) {
        const value = parseValue(kind, text, pair)
        if (value !== undefined) return value
      }
      return undefined
    case 'list':
      return text === '' ? [] : text.split(',').map((part) => (info.items ? typedValue(info.items, part, pair) : part))
    default:
      return text
  }
}
