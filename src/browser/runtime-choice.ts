/** Which ONNX runtime a page uses, and with how many threads. */
import type { RuntimeName } from '../graph/index.ts'

export interface RuntimeOptions {
  /**
   * `wasm` runs anywhere. `webgpu` needs a browser with WebGPU; operators that the GPU lacks run in wasm. `auto` takes WebGPU where the browser gives an
   * adapter. Default `wasm`: on small encoders and short texts it is faster, and a third of the download.
   */
  runtime?: 'wasm' | 'webgpu' | 'auto'
  /** Threads of the wasm runtime. Default: up to 4 on a page that is cross-origin isolated, else 1: others may not share memory. */
  threads?: number
}

const mostThreads = 4

interface GpuNavigator {
  gpu?: { requestAdapter(): Promise<object | null> }
}

/** Settles the options for this page or worker. */
export async function chooseRuntime({ runtime = 'wasm', threads }: RuntimeOptions): Promise<{
  runtime: RuntimeName
  threads: number
}> {
  const gpu = (globalThis.navigator as GpuNavigator | undefined)?.gpu
  const useGpu = runtime === 'webgpu' || (runtime === 'auto' && (await gpu?.requestAdapter().catch(() => null)))
  const shared = globalThis.crossOriginIsolated === true
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1
  return { runtime: useGpu ? 'webgpu' : 'wasm', threads: shared ? (threads ?? Math.min(mostThreads, cores)) : 1 }
}
