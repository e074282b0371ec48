/** What a method says of itself. The CLI, the docs and `espalier systems` read this; nothing about a method is written twice. */

export interface MethodInfo {
  /** The catalogue's name, in kebab-case; also the file's name. */
  readonly name: string
  readonly verb: string
  /** One sentence: what it does and when to use it. */
  readonly summary: string
  /** Authors, title, year, or "standard" for textbook methods. */
  readonly source: string
  /** works: its done check passed. partial: usable, but the claimed effect did not show. */
  readonly status: 'works' | 'partial'
  /** The page under docs/ with its measurements. */
  readonly results?: string
}
