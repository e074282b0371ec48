/** Loads the SIMD kernels of this folder, in Node and in browsers. */
import { loadWasm } from '../../util/wasm.ts'

/** Instantiates kernel file `name` on a memory; `Kernels` is the signature of its exports (addresses are byte offsets into the memory). */
export async function loadKernels<Kernels>(name: string, memory: WebAssembly.Memory): Promise<Kernels> {
  return (await loadWasm(import.meta.url, `./${name}.as.ts`, memory)) as Kernels
}
