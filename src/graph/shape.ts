/** Shapes with symbols: a dimension is a number or a product such as `B*S`, or has a sum in it such as `(3+S)`: one graph serves every size. */
import { InputError } from '../util/errors.ts'

/** A size: a number, a symbol (`B`, or a sum `(3+S)`) or a product of symbols and at most one number in normal form (`2*B*S`). */
export type Dim = number | string
export type Shape = readonly Dim[]

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`
}

/** The product of dimensions in normal form. */
export function multiplyDims(...dims: Dim[]): Dim {
  let factor = 1
  const symbols: string[] = []
  for (const dim of dims) {
    if (typeof dim === 'number') factor *= dim
    else
      for (const part of dim.split('*')) {
        if (/^\d+$/.test(part)) factor *= Number(part)
        else symbols.push(part)
      }
  }
  if (symbols.length === 0 || factor === 0) return factor
  symbols.sort()
  return factor === 1 ? symbols.join('*') : `${factor}*${symbols.join('*')}`
}

/** The symbols of a dimension, with repeats; none for a number. */
export function symbolsOf(dim: Dim): string[] {
  return typeof dim === 'number' ? [] : dim.split('*').filter((part) => !/^\d+$/.test(part))
}

/** A symbol and a number added up, as a symbol of its own. */
export const sumDim = (number: number, symbol: string): Dim => (number === 0 ? symbol : `(${number}+${symbol})`)

/** The parts of a symbol that is a sum, else undefined. */
export function sumOf(symbol: string): { number: number; symbol: string } | undefined {
  const match = /^\((\d+)\+(\w+)\)$/.exec(symbol)
  return match ? { number: Number(match[1]), symbol: match[2]! } : undefined
}

/** The numeric factor of a dimension. */
export function factorOf(dim: Dim): number {
  if (typeof dim === 'number') return dim
  const head = dim.split('*')[0]!
  return /^\d+$/.test(head) ? Number(head) : 1
}

/** Numbers in place of symbols. @throws InputError `GRAPH_DIM` if a symbol has no size. */
export function evaluateShape(shape: Shape, sizes: Readonly<Record<string, number>>): number[] {
  return shape.map((dim) =>
    symbolsOf(dim).reduce((product, part) => {
      const { number, symbol } = sumOf(part) ?? { number: 0, symbol: part }
      const size = sizes[symbol]
      if (size === undefined)
        throw new InputError('GRAPH_DIM', `The size of dimension ${symbol} is not given`, {
          help: `pass dims: { ${symbol}: ... } to run`,
        })
      return product * (number + size)
    }, factorOf(dim)),
  )
}

/** The shape that NumPy-style broadcasting gives. @throws InputError `GRAPH_SHAPE` where sizes differ and neither is 1. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const left = a[i - rank + a.length] ?? 1
    const right = b[i - rank + b.length] ?? 1
    if (left === right || right === 1) return left
    if (left === 1) return right
    throw new InputError('GRAPH_SHAPE', `Shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast`)
  })
}

/** Axes counted from the front. @throws InputError `GRAPH_AXIS` if one is outside the rank. */
export function normalizeAxes(axes: readonly number[], rank: number): number[] {
  return axes.map((axis) => {
    const from0 = axis < 0 ? axis + rank : axis
    if (!Number.isInteger(axis) || from0 < 0 || from0 >= rank)
      throw new InputError('GRAPH_AXIS', `Expected an axis between ${-rank} and ${rank - 1}, received ${axis}`)
    return from0
  })
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}
