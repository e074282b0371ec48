/** Loads the SIMD kernels of this folder, in Node and in browsers. */
import { loadWasmFile } from '../../util/wasm.ts'

/** Each file's place, written out so that bundlers find it. */
const files = {
  'dual-svm': () => new URL('./dual-svm.wasm', import.meta.url),
  ngrams: () => new URL('./ngrams.wasm', import.meta.url),
  'sparse-score': () => new URL('./sparse-score.wasm', import.meta.url),
}

/** Instantiates kernel file `name` on a memory; `Kernels` is the signature of its exports (addresses are byte offsets into the memory). */
export async function loadKernels<Kernels>(name: keyof typeof files, memory: WebAssembly.Memory): Promise<Kernels> {
  return (await loadWasmFile(files[name](), memory)) as Kernels
}
