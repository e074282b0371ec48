/**
 * Two schemas over the same texts and which of their classes agree: a map from co-occurrence, and the texts' labels filtered by it (du Toit, Redelinghuys
 * and Dunaiski, Three new benchmark data sets for hierarchical text classification).
 */

/** How often a class of the first schema and one of the second meet. */
export interface SchemaCounts {
  readonly first: readonly string[]
  readonly second: readonly string[]
  /** [first.length x second.length], row by row: texts that have both. */
  readonly together: Uint32Array
}

export interface SchemaMapOptions {
  /** Least share of a second class's texts that have a first class, for the two to be compatible; 0 to 1. */
  theta: number
}

/** Counts the pairs of classes of each text; keys stand for classes. */
export function countSchemas(
  texts: readonly { readonly first: readonly string[]; readonly second: readonly string[] }[],
): SchemaCounts {
  const names = (side: 'first' | 'second') => [...new Set(texts.flatMap((text) => text[side]))].sort()
  const [first, second] = [names('first'), names('second')]
  const indexOf = (list: readonly string[]) => new Map(list.map((name, i) => [name, i]))
  const [rows, columns] = [indexOf(first), indexOf(second)]
  const together = new Uint32Array(first.length * second.length)
  for (const text of texts)
    for (const a of new Set(text.first))
      for (const b of new Set(text.second)) together[rows.get(a)! * second.length + columns.get(b)!]!++
  return { first, second, together }
}

/**
 * For each class of the second schema, the compatible classes of the first: those j with P(j | c) of at least theta, the pairs of c being what the
 * share is of.
 * @example
 * mapSchemas({ first: ['a', 'b'], second: ['x'], together: Uint32Array.of(8, 1) }, { theta: 0.5 }).get('x') // Map { 'a' => 0.888... }
 */
export function mapSchemas(
  { first, second, together }: SchemaCounts,
  { theta }: SchemaMapOptions,
): Map<string, Map<string, number>> {
  return new Map(
    second.map((c, column) => {
      const counts = first.map((_, row) => together[row * second.length + column]!)
      const all = counts.reduce((sum, count) => sum + count, 0)
      const shares = first.map((j, row) => [j, counts[row]! / all] as const)
      return [c, new Map(shares.filter(([, share]) => share > 0 && share >= theta))] as const
    }),
  )
}

/** The classes of the first schema that some class of the second supports; none: the schemas disagree about the text. */
export function agreed(
  first: readonly string[],
  second: readonly string[],
  map: ReadonlyMap<string, ReadonlyMap<string, number>>,
): string[] {
  return first.filter((j) => second.some((c) => map.get(c)?.has(j)))
}
