import { expect, test, vi } from 'vitest'
import type { Progress } from '../util/progress.ts'
import { compile, Graph, mul } from './index.ts'

// As on a machine without the optional native package.
vi.mock('onnxruntime-node', () => {
  throw new Error("Cannot find package 'onnxruntime-node'")
})

test('without the native runtime the wasm one takes over, and says so once', async () => {
  const notes: Progress[] = []
  const onProgress = (progress: Progress) => notes.push(progress)
  for (let i = 0; i < 2; i++) {
    const graph = new Graph()
    const session = await compile(graph, { y: mul(graph.input('x', 'float32', [2]), 3) }, { onProgress })
    expect(session.runtime).toBe('wasm')
    expect(Array.from((await session.run({ x: Float32Array.of(1, 2) }))['y'] as Float32Array)).toEqual([3, 6])
    await session.close()
  }
  expect(notes.map(({ note }) => note)).toEqual([
    'onnxruntime-node is not available on this machine: using the slower WebAssembly runtime',
  ])
})

test('a runtime that is asked for by name is not replaced', async () => {
  const graph = new Graph()
  const y = mul(graph.input('x', 'float32', [2]), 3)
  await expect(compile(graph, { y }, { runtime: 'native' })).rejects.toMatchObject({
    code: 'RUNTIME_MISSING',
    help: 'npm install onnxruntime-node',
  })
})
