/** Loads a kernel that the build compiled from an AssemblyScript source (`x.as.ts` beside the caller becomes `x.wasm` in dist/). */
import { RunError } from './errors.ts'

/**
 * Instantiates a kernel file with `memory` as its memory and returns its exports. Bundlers find the file where the caller writes
 * `new URL('./x.wasm', import.meta.url)`; from src/, the built one is taken.
 * @throws RunError `NOT_BUILT` when run from src/ before a build.
 */
export async function loadWasmFile(file: URL, memory: WebAssembly.Memory): Promise<WebAssembly.Exports> {
  const url = import.meta.url.endsWith('.ts') ? new URL(file.href.replace('/src/', '/dist/')) : file
  const bytes = await readModule(url).catch((cause: unknown) => {
    throw new RunError('NOT_BUILT', 'The package is not built', { help: 'run: npm run build', cause })
  })
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } })
  return instance.exports
}

/**
 * Instantiates the module with `memory` as its memory and returns its exports.
 * @param caller the caller's `import.meta.url`.
 * @param source the AssemblyScript file, relative to the caller: './x.as.ts'.
 * @throws RunError `NOT_BUILT` when run from src/ before a build.
 */
export async function loadWasm(
  caller: string,
  source: string,
  memory: WebAssembly.Memory,
): Promise<WebAssembly.Exports> {
  return loadWasmFile(new URL(source.replace(/\.as\.ts$/, '.wasm'), caller), memory)
}

/** The file's bytes; browsers fetch them. Node's file system is not imported by name, so that bundlers for browsers find nothing to resolve. */
async function readModule(url: URL): Promise<BufferSource> {
  if (url.protocol === 'file:') {
    const file = await process.getBuiltinModule('node:fs').promises.readFile(url)
    return new Uint8Array(file)
  }
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url.href}: status ${response.status}`)
  return response.arrayBuffer()
}
