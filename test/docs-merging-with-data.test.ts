/** docs/merging-with-data.md against the methods: a section for each, and a row for each option with its values and default. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { describeOptions, describeType } from '../src/cli/method-options.ts'
import { dataMergeMethods } from '../src/cli/methods.ts'

const text = await readFile(fileURLToPath(new URL('../docs/merging-with-data.md', import.meta.url)), 'utf8')
const methods = await dataMergeMethods()
const sections = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((part) => [part.split('\n')[0]!, part.split(/^## /m)[0]!]),
)

it('has a section for every method, and for nothing else', () => {
  expect([...sections.keys()].sort()).toEqual(methods.map(({ info }) => info.name).sort())
})

it.each(methods.map((method) => [method.info.name, method] as const))('has the options of %s', (name, { schema }) => {
  const rows = [...sections.get(name)!.matchAll(/^\| `(\w+)` \| ([^|]*) \| `([^|]*)` \|/gm)]
  const found = rows.map(([, option, values, fallback]) => [option, values, Number(fallback) || fallback])
  const expected = describeOptions(schema).map((option) => [
    option.name,
    describeType(option),
    Number(JSON.stringify(option.default)) || JSON.stringify(option.default),
  ])
  expect(found).toEqual(expected)
})
