import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { describeOptions, describeType, parseMethodOptions } from './method-options.ts'

const schema = v.object({
  density: v.pipe(v.number(), v.gtValue(0), v.maxValue(1), v.description('share kept')),
  rounds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 3),
  sign: v.optional(v.picklist(['mass', 'count']), 'mass'),
  rescale: v.optional(v.boolean(), false),
  layers: v.optional(v.array(v.pipe(v.number(), v.integer()))),
  note: v.optional(v.string()),
  rate: v.optional(v.union([v.pipe(v.number(), v.gtValue(0)), v.literal('auto')]), 'auto'),
})

describe('options of methods', () => {
  it('are described from the schema', () => {
    expect(describeOptions(schema)).toEqual([
      { name: 'density', type: 'number', required: true, above: 0, most: 1, description: 'share kept' },
      { name: 'rounds', type: 'integer', required: false, default: 3, least: 1 },
      { name: 'sign', type: 'choice', required: false, default: 'mass', choices: ['mass', 'count'] },
      { name: 'rescale', type: 'boolean', required: false, default: false },
      { name: 'layers', type: 'list', required: false, items: { name: 'layers', type: 'integer', required: true } },
      { name: 'note', type: 'text', required: false },
      {
        name: 'rate',
        type: 'either',
        required: false,
        default: 'auto',
        kinds: [
          { name: 'rate', type: 'number', required: true, above: 0 },
          { name: 'rate', type: 'choice', required: true, choices: ['auto'] },
        ],
      },
    ])
    expect(describeOptions(schema).map(describeType)).toEqual([
      'number above 0 to 1',
      'whole number from 1',
      'one of mass, count',
      'true or false',
      'list of whole number, separated by commas',
      'text',
      'number above 0, or auto',
    ])
  })

  it('are typed from key=value', () => {
    const pairs = ['density=0.2', 'rounds=5', 'sign=count', 'rescale=true', 'layers=1,2', 'note=a=b']
    expect(parseMethodOptions('ties', schema, ['rate=0.5'])).toEqual({ rate: 0.5 })
    expect(parseMethodOptions('ties', schema, ['rate=auto'])).toEqual({ rate: 'auto' })
    expect(parseMethodOptions('ties', schema, pairs)).toEqual({
      density: 0.2,
      rounds: 5,
      sign: 'count',
      rescale: true,
      layers: [1, 2],
      note: 'a=b',
    })
  })

  it.each([
    ['density', '--method-option expects key=value, received "density"'],
    ['density=x', 'density expects number above 0 to 1, received "x"'],
    ['rounds=1.5', 'rounds expects whole number from 1, received "1.5"'],
    ['sign=maas', 'sign expects one of mass, count, received "maas"'],
    ['rescale=yes', 'rescale expects true or false, received "yes"'],
    ['rate=fast', 'rate expects number above 0, or auto, received "fast"'],
    ['layers=1,x', 'layers expects whole number, received "x"'],
    ['densty=1', 'Unknown option "densty" of method ties'],
  ])('refuse %s', (pair, message) => {
    expect(() => parseMethodOptions('ties', schema, [pair])).toThrow(message)
  })
})
