import { describe, expect, test } from 'vitest'
import { pathOfColumns, pathsOfValue } from './label-values.ts'

const place = { file: 'x', line: 1 }
const json = (value: unknown, column = 'labels', options = {}) => pathsOfValue(value, column, false, options, place)
const cell = (value: unknown, column = 'label', options = {}) => pathsOfValue(value, column, true, options, place)

test.each([
  ['a name', 'a', [['a']]],
  ['a name with spaces around', ' a b ', [['a b']]],
  ['a path with >', 'a > b', [['a', 'b']]],
  ['a path with ›', 'a › b  ›  c', [['a', 'b', 'c']]],
  ['> without spaces is part of the name', 'a>b', [['a>b']]],
  ['/ is part of the name', 'a/b', [['a/b']]],
  ['a number', 3, [['3']]],
  ['a boolean', false, [['false']]],
  ['names: several labels', ['a', 'b > c'], [['a'], ['b', 'c']]],
  ['paths: several labels', [['a', 'b'], ['c']], [['a', 'b'], ['c']]],
  ['names and paths', ['a', ['b', 'c']], [['a'], ['b', 'c']]],
  ['a path is not split further', [['a > b']], [['a > b']]],
  ['the same label twice', [['a'], ['a'], 'a'], [['a']]],
  ['an empty list', [], []],
  ['empty texts and lists in a list', ['', [], ' '], []],
  ['an empty text', '', []],
  ['null', null, []],
  ['nothing', undefined, []],
])('JSON: %s', (_, value, expected) => {
  expect(json(value)).toEqual(expected)
})

test('in a column named path, a flat list is one path', () => {
  expect(json(['a', 'b'], 'path')).toEqual([['a', 'b']])
  expect(json(['a', 'b'], 'label_path')).toEqual([['a', 'b']])
  expect(json([['a', 'b'], ['c']], 'path')).toEqual([['a', 'b'], ['c']])
  expect(json('a > b', 'path')).toEqual([['a', 'b']])
  expect(json([], 'path')).toEqual([])
})

test('tables: a cell may hold a JSON list', () => {
  expect(cell('["a", "b"]')).toEqual([['a'], ['b']])
  expect(cell('[["a", "b"]]')).toEqual([['a', 'b']])
  expect(cell('["a", "b"]', 'path')).toEqual([['a', 'b']])
  expect(cell('[sic]')).toEqual([['[sic]']])
  expect(json('["a"]')).toEqual([['["a"]']])
})

test('separators', () => {
  expect(cell('a/b', 'label', { separator: '/' })).toEqual([['a', 'b']])
  expect(cell('a > b', 'label', { separator: '/' })).toEqual([['a > b']])
  expect(cell('a > b', 'label', { separator: '' })).toEqual([['a > b']])
  expect(cell('a > b; c ;', 'label', { labelSeparator: ';' })).toEqual([['a', 'b'], ['c']])
})

test('several columns form one path, which may stop early', () => {
  expect(pathOfColumns(['a', 'b'], place)).toEqual([['a', 'b']])
  expect(pathOfColumns(['a', ''], place)).toEqual([['a']])
  expect(pathOfColumns(['a', null, undefined], place)).toEqual([['a']])
  expect(pathOfColumns(['', ' '], place)).toEqual([])
  expect(pathOfColumns(['a > b', 7], place)).toEqual([['a > b', '7']])
})

describe('faults', () => {
  const fault = (code: string) => expect.objectContaining({ code, where: place, exitCode: 2 })
  test.each([
    ['an object', () => json({ a: 1 }), 'LABEL_TYPE'],
    ['an object in a list', () => json(['a', { b: 1 }]), 'LABEL_TYPE'],
    ['a list in a path', () => json([['a', ['b']]]), 'LABEL_TYPE'],
    ['null in a path', () => json([['a', null]]), 'LABEL_TYPE'],
    ['an empty name in a path', () => json([['a', ' ', 'b']]), 'LABEL_NAME'],
    ['a separator too many', () => json('a > > b'), 'LABEL_NAME'],
    ['a gap between columns', () => pathOfColumns(['a', '', 'c'], place), 'LABEL_NAME'],
    ['a list in a column of a path', () => pathOfColumns(['a', ['b']], place), 'LABEL_TYPE'],
  ])('%s', (_, run, code) => {
    expect(run).toThrow(fault(code))
  })
})
