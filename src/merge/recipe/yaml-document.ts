/** YAML text to values that remember where they stand, so that a fault found later can name its line and column. */
import type * as v from 'valibot'
import { LineCounter, parseDocument, type YAMLError } from 'yaml'
import { InputError, type Place } from '../../util/errors.ts'

export type Path = readonly (string | number)[]

export interface YamlDocument {
  readonly file: string
  readonly value: unknown
  /** Line and column of the value at `path`, or of its key; of the nearest parent if there is none. */
  place(path: Path, of?: 'key' | 'value'): Place
}

/** Throws InputError `YAML_MALFORMED` with line and column. */
export function parseYaml(text: string, file: string): YamlDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  const position = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line, column: col }
  }
  const fault: YAMLError | undefined = document.errors[0]
  if (fault)
    throw new InputError('YAML_MALFORMED', `The file is not valid YAML: ${sentence(fault.message)}`, {
      where: position(fault.pos[0]),
      help: 'check indentation and quotes there',
    })
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    throw new InputError('YAML_MALFORMED', 'The file uses too many aliases', {
      where: { file },
      help: 'write the repeated parts out',
      cause,
    })
  }
  return {
    file,
    value,
    place(path, of = 'value') {
      for (let length = path.length; length >= 0; length--) {
        const found = offsetOf(document.contents, path.slice(0, length), length === path.length ? of : 'value')
        if (found !== undefined) return position(found)
      }
      return { file }
    },
  }
}

const sentence = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1)

interface Node {
  range?: readonly [number, number, number] | null
  items?: readonly unknown[]
}

interface Pair {
  key: Node & { value?: unknown }
  value: Node | null
}

function offsetOf(node: unknown, path: Path, of: 'key' | 'value'): number | undefined {
  let at = node as Node | null
  let key: Node | undefined
  for (const part of path) {
    const items = at?.items
    if (!items) return undefined
    if (typeof part === 'number') {
      at = items[part] as Node | null
      key = undefined
    } else {
      const pair = (items as readonly Pair[]).find((item) => String(item.key?.value) === part)
      if (!pair) return undefined
      key = pair.key
      at = pair.value
    }
    if (at === undefined) return undefined
  }
  return (of === 'key' ? key : undefined)?.range?.[0] ?? at?.range?.[0] ?? key?.range?.[0]
}

/** The path of an issue's value, as keys and indices. */
export function issuePath(issue: v.BaseIssue<unknown>): (string | number)[] {
  return (issue.path ?? []).map((item) => item.key as string | number)
}

/** `models[2] › parameters › weight` */
export function formatPath(path: Path): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text} › ${part}`),
    '',
  )
}
