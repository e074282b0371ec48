/**
 * Finds an ONNX Runtime: the native one in Node, the WebAssembly one elsewhere or where the native one is not installed. Loaded on first
 * use; nothing here imports a Node module, so that the same code runs in browsers.
 */
import type * as ort from 'onnxruntime-web'
import { RunError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'

/** native: Node only. wasm: anywhere. webgpu: browsers that have it; operators that the GPU lacks run in wasm. */
export type RuntimeName = 'native' | 'wasm' | 'webgpu'

export interface Runtime {
  readonly name: RuntimeName
  readonly ort: typeof ort
}

const inNode = typeof process !== 'undefined' && typeof process.versions?.node === 'string'
const loading = new Map<RuntimeName, Promise<Runtime>>()
let saidFallback = false

/**
 * Loads a runtime.
 * @param name which one; by default native in Node and wasm elsewhere. A missing native runtime is replaced by the wasm one unless it was
 * asked for by name; onProgress hears of it once per process.
 * @throws RunError `RUNTIME_MISSING`
 */
export async function loadRuntime(name?: RuntimeName, { onProgress }: RunOptions = {}): Promise<Runtime> {
  if (name) return load(name)
  if (!inNode) return load('wasm')
  try {
    return await load('native')
  } catch {
    if (onProgress && !saidFallback) {
      saidFallback = true
      const note = 'onnxruntime-node is not available on this machine: using the slower WebAssembly runtime'
      onProgress({ step: 'load runtime', done: 1, total: 1, note })
    }
    return load('wasm')
  }
}

function load(name: RuntimeName): Promise<Runtime> {
  let promise = loading.get(name)
  if (!promise) {
    promise = importRuntime(name).then(
      (module) => ({ name, ort: module }),
      (cause: unknown) => {
        throw new RunError('RUNTIME_MISSING', `Cannot load the ${name} ONNX runtime: ${(cause as Error).message}`, {
          help: `npm install ${name === 'native' ? 'onnxruntime-node' : 'onnxruntime-web'}`,
          cause,
        })
      },
    )
    loading.set(name, promise)
  }
  return promise
}

/** Packages for Node, by names that bundlers for browsers do not follow. */
const nodePackages = { native: 'onnxruntime-node', wasm: 'onnxruntime-web', webgpu: 'onnxruntime-web/webgpu' }

async function importRuntime(name: RuntimeName): Promise<typeof ort> {
  const module = inNode
    ? await import(/* @vite-ignore */ nodePackages[name])
    : name === 'webgpu'
      ? await import('onnxruntime-web/webgpu')
      : await import('onnxruntime-web/wasm')
  return (
    'default' in module && module.default && 'InferenceSession' in (module.default as object) ? module.default : module
  ) as typeof ort
}
