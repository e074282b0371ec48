/** CONTRIBUTING.md shows a method's file whole: it is that file, and its path is still right. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { repository } from './cli/espalier.ts'
import { blocksOf } from './doc-blocks.ts'

it('the method in CONTRIBUTING.md is the one in the sources', () => {
  const shown = blocksOf(join(repository, 'CONTRIBUTING.md')).find(({ code }) => code.includes('defineHeadMethod'))!
  const [, path] = /`(src\/classify\/methods\/[\w-]+\.ts)`/.exec(shown.before)!
  expect(`${shown.code}\n`).toBe(readFileSync(join(repository, path!), 'utf8'))
})

it('the operator in docs/engine.md is the one in the sources', () => {
  const shown = blocksOf(join(repository, 'docs/engine.md')).find(({ code }) => code.includes('function softmax'))!
  expect(readFileSync(join(repository, 'src/graph/ops/activations.ts'), 'utf8')).toContain(shown.code)
})
