/** The engine, the models and `espalier/browser` run in browsers, so no file they import, at once or later, may need Node. */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** Every package that `file` reaches by static and dynamic imports; type imports are erased. */
function packagesOf(file: string, seen = new Set<string>(), found = new Set<string>()): Set<string> {
  if (seen.has(file)) return found
  seen.add(file)
  const source = readFileSync(file, 'utf8').replace(/^ *\*.*$/gm, '')
  const statement = /^(?:import|export)\s(?!type\b)(?:[^'";]*?\sfrom\s)?['"]([^'"]+)['"]/gm
  const later = /\bimport\(['"]([^'"]+)['"]\)/g
  for (const [, target] of [...source.matchAll(statement), ...source.matchAll(later)]) {
    if (target!.startsWith('.')) packagesOf(join(dirname(file), target!), seen, found)
    else found.add(`${target} (in ${relative(src, file)})`)
  }
  return found
}

const allowed = ['valibot', 'onnxruntime-web/wasm', 'onnxruntime-web/webgpu', '@huggingface/tokenizers']

test.each(['graph/index.ts', 'models/index.ts', 'models/ngram.ts', 'browser/index.ts', 'browser/worker.ts'])(
  '%s reaches no Node module',
  (file) => {
    const packages = [...packagesOf(join(src, file))]
    expect(packages.filter((name) => !allowed.includes(name.split(' ')[0]!))).toEqual([])
  },
)
