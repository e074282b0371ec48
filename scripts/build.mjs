// Builds dist/: AssemblyScript kernels to wasm, TypeScript to JavaScript and declarations.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name)

/** Runs a tool; its messages say what is wrong if it fails, and the build ends there. */
function run(name, args) {
  const { status } = spawnSync(bin(name), args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' })
  if (status !== 0) process.exit(status ?? 1)
}

/** Every file below `folder` whose name ends with `ending`. */
function filesEnding(folder, ending) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesEnding(path, ending) : path.endsWith(ending) ? [path] : []
  })
}

for (const source of filesEnding(join(root, 'src'), '.as.ts')) {
  const target = source.replace(`${root}src`, `${root}dist`).replace(/\.as\.ts$/, '.wasm')
  if (existsSync(target) && statSync(target).mtimeMs > statSync(source).mtimeMs) continue
  mkdirSync(dirname(target), { recursive: true })
  // A source may ask for more in a line of its own: `// asc: --enable threads`.
  const more = /^\/\/ asc: (.+)$/m.exec(readFileSync(source, 'utf8'))?.[1].split(' ') ?? []
  run('asc', [
    ...[source, '-o', target, '-O3', '--enable', 'simd', '--runtime', 'stub', '--importMemory', '--noAssert'],
    ...more,
  ])
}
run('tsc', ['-p', 'tsconfig.build.json'])
// The studio's page is built again only when it, or what it takes from src/, has changed.
const page = join(root, 'dist/studio/index.html')
const pageSources = [
  ...['.ts', '.svelte', '.css', '.html', '.mjs'].flatMap((ending) => filesEnding(join(root, 'studio'), ending)),
  ...filesEnding(join(root, 'src/evaluate/report-page'), '.ts'),
]
if (!existsSync(page) || pageSources.some((file) => statSync(file).mtimeMs > statSync(page).mtimeMs))
  run('vite', ['build', 'studio'])
chmodSync(join(root, 'dist/cli/main.js'), 0o755)
