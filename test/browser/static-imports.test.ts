/** The engine and the encoders run in browsers, so no file they import statically may need Node. */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** Everything that `file` loads when it is imported; type imports are erased and dynamic ones wait. */
function packagesOf(file: string, seen = new Set<string>(), found = new Set<string>()): Set<string> {
  if (seen.has(file)) return found
  seen.add(file)
  const statement = /^(?:import|export)\s(?!type\b)(?:[^'";]*?\sfrom\s)?['"]([^'"]+)['"]/gm
  for (const [, target] of readFileSync(file, 'utf8').matchAll(statement)) {
    if (target!.startsWith('.')) packagesOf(join(dirname(file), target!), seen, found)
    else found.add(`${target} (in ${relative(src, file)})`)
  }
  return found
}

test.each(['graph/index.ts', 'models/index.ts', 'models/ngram.ts'])('%s imports no Node module', (file) => {
  const packages = [...packagesOf(join(src, file))]
  expect(packages.filter((name) => !name.startsWith('valibot '))).toEqual([])
})
