import { expect, test } from 'vitest'
import { blocksOf, fileOf, withChecks } from './doc-blocks.ts'
import { temporaryFolder } from './temporary-folder.ts'

const { write } = temporaryFolder()
const page = write(
  'page.md',
  [
    '# Page',
    '',
    'Rows in `other.json` and `rows.csv`:',
    '',
    '```csv',
    'text',
    'a',
    '```',
    '',
    '```ts no-run',
    'tree.size // 5',
    '```',
    '',
    '```ts',
    'const x = 5 // 5',
    "answer!.path // ['a', 'b']",
    'tree.size // its size',
    'x + 1 // 7',
    '```',
  ].join('\n'),
)

test('blocks, their marks and the files they stand for', () => {
  const blocks = blocksOf(page)
  expect(blocks.map(({ line, language, isIllustration }) => [line, language, isIllustration])).toEqual([
    [5, 'csv', false],
    [10, 'ts', true],
    [14, 'ts', false],
  ])
  expect(blocks.map(fileOf)).toEqual(['rows.csv', undefined, undefined])
  expect(blocks[0]!.code).toBe('text\na')
  expect(() => blocksOf(write('open.md', '```ts\nx'))).toThrow('open.md line 1')
})

test('values in comments are checked, other comments are not', () => {
  const code = withChecks(blocksOf(page)[2]!)
  const checks = code.split('\n').filter((line) => line.startsWith('assert'))
  expect(checks).toHaveLength(2)
  expect(checks[0]).toMatch(/^assert\.deepEqual\(answer!\.path, \['a', 'b'\], ".*line 16: answer/)
  expect(checks[1]).toMatch(/^assert\.deepEqual\(x \+ 1, 7, /)
})
