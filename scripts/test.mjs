// npm test: build, type check, lint, layering, tests. The last line is "N passed, N failed".
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
let passed = 0
let failed = 0
let skipped = 0

function step(name, command, args) {
  const start = Date.now()
  console.log(`\n── ${name}`)
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) passed++
  else failed++
  console.log(`── ${name}: ${status === 0 ? 'ok' : 'FAILED'} (${((Date.now() - start) / 1000).toFixed(1)} s)`)
  return status === 0
}

const node = process.execPath
const modules = join(root, 'node_modules')
step('build', node, ['scripts/build.mjs'])
step('type check', node, [join(modules, 'typescript/bin/tsc'), '-p', 'tsconfig.json'])
step('lint', node, [join(modules, '@biomejs/biome/bin/biome'), 'check', '.', '--error-on-warnings'])
step('layering', node, ['scripts/check-floors.mjs'])

const folder = mkdtempSync(join(tmpdir(), 'espalier-test-'))
const summary = join(folder, 'vitest.json')
step('tests', node, [
  join(modules, 'vitest/vitest.mjs'),
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${summary}`,
  ...process.argv.slice(2),
])
try {
  const result = JSON.parse(readFileSync(summary, 'utf8'))
  passed += result.numPassedTests
  failed += result.numFailedTests
  skipped += result.numPendingTests + result.numTodoTests
} catch {
  failed++
  console.error('the test runner wrote no summary')
}
rmSync(folder, { recursive: true, force: true })

console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed > 0 ? 1 : 0
