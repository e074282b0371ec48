/** HTML from template literals, escaped by default: whatever is interpolated is text unless it is HTML already. */

export class Html {
  readonly source: string
  constructor(source: string) {
    this.source = source
  }
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text for element content or a quoted attribute. Control characters that HTML forbids become the replacement character. */
export function escapeHtml(text: string): string {
  return (
    text
      .replace(/\p{Surrogate}/gu, '\uFFFD')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced
      .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '\uFFFD')
      .replace(/[&<>"']/g, (character) => entities[character]!)
  )
}

type Value = Html | string | number | undefined | readonly Value[]

/**
 * @example html`<b>${'<script>'}</b>`.source // '<b>&lt;script&gt;</b>'
 */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  const parts = strings.map((string, i) => (i === 0 ? string : sourceOf(values[i - 1]) + string))
  return new Html(parts.join(''))
}

function sourceOf(value: Value): string {
  if (value === undefined) return ''
  if (value instanceof Html) return value.source
  if (typeof value === 'object') return value.map(sourceOf).join('')
  return escapeHtml(String(value))
}

/** JSON for the inside of a script element: no "<" that could end it. */
export function scriptJson(value: unknown): Html {
  return new Html(
    JSON.stringify(value).replace(/[<\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )
}
