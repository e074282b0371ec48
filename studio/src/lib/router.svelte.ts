/** The page's address: `#/run/ID/labels?label=12`. All state that is worth a link stands in it. */

export interface Route {
  readonly parts: readonly string[]
  readonly query: Readonly<Record<string, string>>
}

function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part)
    } catch {
      return part
    }
  }
  return { parts: path.split('/').filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query)) }
}

let current = $state.raw(parse(location.hash))
addEventListener('hashchange', () => {
  current = parse(location.hash)
})

export const route = (): Route => current

type Query = Readonly<Record<string, string | number | undefined>>

/** The address of a place in the studio. */
export function link(parts: readonly string[], query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
  return `#/${parts.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`
}

/** Goes there; `replace` for changes of a view that are no steps back. */
export function go(parts: readonly string[], query: Query = {}, replace = false): void {
  const hash = link(parts, query)
  if (hash === location.hash) return
  if (replace) {
    history.replaceState(null, '', hash)
    current = parse(hash)
  } else location.hash = hash
}

/** Changes some of the query and stays in the view. */
export function adjust(changes: Query): void {
  go(current.parts, { ...current.query, ...changes }, true)
}
