/** Compares the gradients of a graph with central differences, on ONNX Runtime. */
import { expect } from 'vitest'
import {
  compile,
  type Dtype,
  Graph,
  gradients,
  type HostArray,
  mul,
  reduceSum,
  type Tensor,
} from '../../src/graph/index.ts'

export interface CheckedInput {
  shape: readonly number[]
  values: readonly number[]
}

export interface CheckOptions {
  /** float64 by default; float32 for operators that the CPU runtime has in float32 only. */
  dtype?: Dtype
  runtime?: 'native' | 'wasm'
}

/** Step and tolerance (relative to 1 + |difference|) that rounding and curvature allow in each type. */
const precision = { float64: { step: 1e-4, tolerance: 1e-6 }, float32: { step: 1e-2, tolerance: 1e-2 } } as const

/** Fails unless the gradient of sum(weight * f(inputs)) agrees with central differences in every element of every input. */
export async function checkGradients(
  inputs: readonly CheckedInput[],
  f: (...tensors: Tensor[]) => Tensor,
  { dtype = 'float64', runtime = 'native' }: CheckOptions = {},
): Promise<void> {
  const graph = new Graph()
  const tensors = inputs.map(({ shape }, i) => graph.parameter(`x${i}`, shape, dtype))
  const y = f(...tensors)
  const shape = y.shape as number[]
  const size = shape.reduce((a, b) => a * b, 1)
  const weight = graph.constant(
    Array.from({ length: size }, (_, i) => 0.3 + 0.7 * Math.sin(1.7 * i + 1)),
    shape,
    dtype,
  )
  const loss = reduceSum(mul(y, weight))
  const found = gradients(loss, tensors)
  const session = await compile(
    graph,
    { loss, ...Object.fromEntries(found.map((gradient, i) => [`g${i}`, gradient])) },
    { runtime },
  )
  const array = (values: readonly number[]): HostArray =>
    dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values)
  const buffers = inputs.map(({ values }) => array(values))
  const feeds = Object.fromEntries(buffers.map((buffer, i) => [`x${i}`, buffer]))
  const { step, tolerance } = precision[dtype as 'float32' | 'float64']
  // The same key at every run: dropout then is a fixed mask.
  const run = () => session.run(feeds, { random: { seed: 1, step: 0 } })
  const analytic = await run()
  const lossAt = async () => Number((await run())['loss']![0])
  for (const [i, buffer] of buffers.entries())
    for (let j = 0; j < buffer.length; j++) {
      const centre = buffer[j] as number
      buffer[j] = centre + step
      const width = (buffer[j] as number) - centre
      const above = await lossAt()
      buffer[j] = centre - width
      const below = await lossAt()
      buffer[j] = centre
      const numeric = (above - below) / (2 * width)
      const difference = Math.abs(Number(analytic[`g${i}`]![j]) - numeric)
      expect(difference, `input ${i}, element ${j}: central difference ${numeric}`).toBeLessThanOrEqual(
        tolerance * (1 + Math.abs(numeric)),
      )
    }
  await session.close()
}
