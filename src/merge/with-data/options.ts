/** Options that several methods with data have. */
import * as v from 'valibot'

const number = v.pipe(v.number('Expected a number'), v.finite('Expected a finite number'))

export const wholeFrom = (least: number) =>
  v.pipe(
    v.number('Expected a whole number'),
    v.integer('Expected a whole number'),
    v.minValue(least, `Expected a whole number from ${least}`),
  )

export const anyNumber = number

export const between = (low: number, high: number) =>
  v.pipe(
    number,
    v.minValue(low, `Expected a number from ${low} to ${high}`),
    v.maxValue(high, `Expected a number from ${low} to ${high}`),
  )

export const atLeast = (least: number) => v.pipe(number, v.minValue(least, `Expected a number of at least ${least}`))

export const above = (limit: number) => v.pipe(number, v.gtValue(limit, `Expected a number above ${limit}`))

/** What becomes of all that a method does not merge itself: the mean of the models, or the base plus lambda times the sum of differences. */
export const restOption = v.optional(v.picklist(['mean', 'sum'], 'Expected mean or sum for rest'), 'mean')
