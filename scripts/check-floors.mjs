// Checks that imports run downward only: a folder of src/ may import its own files and the floors below it.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../src', import.meta.url))

// From the top floor to the ground: the command line starts the other faces. Folders of one floor do not import each other, save where listed in `order`.
const floors = [
  ['cli'],
  ['serve', 'cluster', 'browser'],
  [
    'classify',
    'merge',
    'align',
    'compress',
    'select',
    'taxonomy',
    'retrieve',
    'link',
    'recommend',
    'explain',
    'generate',
  ],
  ['train', 'evaluate'],
  ['models'],
  ['graph'],
  ['checkpoint', 'text', 'data'],
  ['labels'],
  ['tensor'],
  ['util'],
]
const floorOf = new Map(floors.flatMap((names, floor) => names.map((name) => [name, floor])))

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? sources(path) : /\.ts$/.test(entry.name) ? [path] : []
  })
}

const faults = []
for (const file of sources(src)) {
  const [folder, ...rest] = relative(src, file).split(sep)
  if (rest.length === 0 || file.endsWith('.test.ts')) continue // src/index.ts stands above all; tests may look up
  if (!floorOf.has(folder))
    faults.push(`${relative(src, file)}: folder ${folder}/ has no floor in scripts/check-floors.mjs`)
  for (const [, target] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g)) {
    const [other, ...inside] = relative(src, resolve(dirname(file), target)).split(sep)
    if (other === folder) continue
    if (inside.length === 0) faults.push(`${relative(src, file)} imports ${target}: nothing imports the public index`)
    else if (floorOf.get(other) < floorOf.get(folder))
      faults.push(`${relative(src, file)} imports ${target}: ${other}/ stands above ${folder}/`)
    else if (floorOf.get(other) === floorOf.get(folder) && inside[0] === 'methods')
      faults.push(`${relative(src, file)} imports ${target}: a verb never imports another verb's methods`)
    else if (floorOf.get(other) === floorOf.get(folder))
      faults.push(`${relative(src, file)} imports ${target}: ${other}/ stands beside ${folder}/, not below it`)
  }
}
if (faults.length > 0) {
  console.error(`layering: ${faults.length} import(s) run upward\n  ${faults.join('\n  ')}`)
  process.exit(1)
}
console.log('layering: imports run downward')
