// The API reference, from the declarations that the compiler writes: every name that a package entry exports, with its doc comment and its declaration.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const files = new Map()
const read = (file) => {
  if (!files.has(file)) files.set(file, readFileSync(file, 'utf8'))
  return files.get(file)
}
const target = (from, path) => resolve(dirname(from), path.replace(/\.[jt]s$/, '.d.ts'))

/** Exported names of a declaration file: name to the file where it is declared, and its name there. */
export function exportsOf(file, found = new Map()) {
  const text = read(file)
  for (const [, names, from] of text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}(?:\s+from\s+['"]([^'"]+)['"])?;?/gm)) {
    for (const part of names.split(',')) {
      const [, inner, as] = /^\s*(?:type\s+)?([\w$]+)(?:\s+as\s+([\w$]+))?\s*$/.exec(part) ?? []
      if (inner === undefined) continue
      if (from === undefined) found.set(as ?? inner, { file, name: inner })
      else found.set(as ?? inner, locate(target(file, from), inner))
    }
  }
  for (const [, from] of text.matchAll(/^export\s+\*\s+from\s+['"]([^'"]+)['"];?/gm))
    exportsOf(target(file, from), found)
  for (const [, name] of text.matchAll(declared)) if (!found.has(name)) found.set(name, { file, name })
  return found
}

const declared = /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:function|const|class|interface|type|let)\s+([\w$]+)/gm

/** Where a name that a file exports is declared. */
function locate(file, name) {
  if (!existsSync(file)) return { file, name }
  if (
    new RegExp(
      `^export\\s+(?:declare\\s+)?(?:abstract\\s+)?(?:function|const|class|interface|type|let)\\s+${name.replace('$', '\\$')}\\b`,
      'm',
    ).test(read(file))
  )
    return { file, name }
  const all = exportsOf(file)
  return all.get(name) ?? { file, name }
}

/** The declarations of a name (a function may have several) and the doc comment before the first. */
export function declarationOf({ file, name }) {
  const text = read(file)
  const pattern = new RegExp(
    `^export\\s+(?:declare\\s+)?(?:abstract\\s+)?(function|const|class|interface|type|let)\\s+${name.replace('$', '\\$')}\\b`,
    'gm',
  )
  const parts = []
  let comment = ''
  let kind
  for (const match of text.matchAll(pattern)) {
    kind ??= match[1]
    if (parts.length === 0) comment = commentBefore(text, match.index)
    parts.push(text.slice(match.index, endOf(text, match.index)).replaceAll(/^export (?:declare )?/gm, ''))
  }
  return parts.length === 0 ? undefined : { name, kind, comment, declaration: parts.join('\n') }
}

/** The doc comment that ends right before a place. */
function commentBefore(text, at) {
  const before = text.slice(0, at).trimEnd()
  if (!before.endsWith('*/')) return ''
  const start = before.lastIndexOf('/**')
  return start < 0 ? '' : before.slice(start, before.length)
}

/** Where a declaration ends: at the semicolon or the closing brace outside of all brackets, texts and comments. */
function endOf(text, start) {
  let depth = 0
  for (let i = start; i < text.length; i++) {
    const character = text[i]
    if (text.startsWith('/*', i)) i = text.indexOf('*/', i) + 1
    else if (text.startsWith('//', i)) i = text.indexOf('\n', i) - 1
    else if (character === "'" || character === '"' || character === '`') {
      for (i++; text[i] !== character; i++) if (text[i] === '\\') i++
    } else if ('{([<'.includes(character)) {
      depth++
    } else if (character === '>' && text[i - 1] === '=') continue
    else if ('})]>'.includes(character)) {
      depth--
      const rest = text.slice(i + 1, i + 3)
      if (
        depth === 0 &&
        character === '}' &&
        /^\s*(?:\n|$)/.test(rest) &&
        /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:class|interface)/.test(text.slice(start, start + 40))
      )
        return i + 1
    } else if (character === ';' && depth === 0) return i + 1
  }
  return text.length
}

/** A doc comment as Markdown: its text, then what is thrown, then its example. */
export function commentMarkdown(comment) {
  const lines = comment
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
  const text = lines.join('\n').trim()
  const sections = text.split(/^(?=@\w+)/m)
  const body = sections[0]?.startsWith('@') ? '' : (sections.shift() ?? '').trim()
  const rows = { param: [], returns: [], throws: [], example: [], other: [] }
  for (const section of sections) {
    const [, tag, content] = /^@(\w+)\s*([\s\S]*)$/.exec(section)
    const key = tag === 'return' ? 'returns' : tag
    ;(rows[key] ?? rows.other).push(content.trim())
  }
  const list = (title, items, show) =>
    items.length === 0 ? '' : `\n\n**${title}**\n\n${items.map((item) => `- ${show(item)}`).join('\n')}`
  const oneLine = (item) => escaped(item.replaceAll(/\s*\n\s*/g, ' '))
  return [
    escaped(body),
    list('Parameters', rows.param, (item) => oneLine(item).replace(/^([\w.$]+)/, '`$1`')),
    list('Returns', rows.returns, oneLine),
    list('Throws', rows.throws, oneLine),
    ...rows.example.map((code) => `\n\n\`\`\`ts\n${code.replace(/^```\w*\n?|```$/gm, '').trim()}\n\`\`\``),
  ]
    .join('')
    .trim()
}

/** Text whose code in backticks stays, and whose angle brackets and braces are not markup. */
const escaped = (text) =>
  text
    .split(/(`[^`]*`)/)
    .map((part, at) =>
      at % 2 === 1 ? part.replaceAll('{{', '{ {') : part.replaceAll('<', '&lt;').replaceAll('{{', '{ {'),
    )
    .join('')
    .replaceAll(/\{@link\s+([^}]+)\}/g, '`$1`')

/** Names of an entry by the folder that declares them: `[{folder, names: [{name, kind, comment, declaration}]}]`. */
export function apiOf(entry) {
  const root = dirname(entry)
  const groups = new Map()
  for (const [name, place] of [...exportsOf(entry)].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const declaration = existsSync(place.file) ? declarationOf(place) : undefined
    const folder = relative(root, place.file).split(/[\\/]/)[0]
    const group = groups.get(folder) ?? []
    groups.set(folder, group)
    group.push({
      name,
      kind: declaration?.kind,
      comment: declaration?.comment ?? '',
      declaration: declaration?.declaration ?? '',
      file: join('src', relative(root, place.file)).replace('.d.ts', '.ts'),
    })
  }
  return [...groups].map(([folder, names]) => ({ folder, names }))
}
