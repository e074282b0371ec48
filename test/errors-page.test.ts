/** docs/errors.md names every code that the sources throw; a row such as `GRAPH_*` stands for all that begin so. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { repository } from './cli/espalier.ts'

const thrown = /new (?:Input|Run|Espalier)Error\(\s*(?:[12],\s*)?'([A-Z][A-Z0-9_]+)'/g

it('docs/errors.md names every error code', () => {
  const page = readFileSync(join(repository, 'docs/errors.md'), 'utf8')
  const listed = [...page.matchAll(/`([A-Z][A-Z0-9_]*\*?)`/g)].map(([, code]) => code!)
  const isListed = (code: string) =>
    listed.some((entry) => (entry.endsWith('*') ? code.startsWith(entry.slice(0, -1)) : code === entry))
  const sources = join(repository, 'src')
  const codes = readdirSync(sources, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .flatMap((file) =>
      [...readFileSync(join(sources, file), 'utf8').matchAll(thrown)].map(([, code]) => ({ code: code!, file })),
    )
  expect(codes.length).toBeGreaterThan(50)
  const missing = codes.filter(({ code }) => !isListed(code)).map(({ code, file }) => `${code} (src/${file})`)
  expect([...new Set(missing)]).toEqual([])
})
