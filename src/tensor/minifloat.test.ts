import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { type Dtype, dtypes, fromFloat32, toFloat32 } from './dtypes.ts'
import { findNonFinite } from './finite.ts'

const fixture = new URL('../../test/fixtures/checkpoints/minifloats.safetensors', import.meta.url).pathname

test.each([
  ['F16', 'torch.float16'],
  ['BF16', 'torch.bfloat16'],
  ['F8_E4M3', 'torch.float8_e4m3fn'],
  ['F8_E5M2', 'torch.float8_e5m2'],
  ['F8_E4M3FNUZ', 'torch.float8_e4m3fnuz'],
  ['F8_E5M2FNUZ', 'torch.float8_e5m2fnuz'],
] as const)('%s is cast as PyTorch casts it', async (dtype, name) => {
  const casts = await openCheckpoint(fixture)
  const inputs = await casts.readFloat32('inputs')
  const expected = await casts.read(name)
  await casts.close()
  const received = fromFloat32(inputs, dtype)
  const size = dtypes[dtype].bits / 8
  const read = (bytes: Uint8Array) => toFloat32(bytes, dtype)
  const [ours, theirs] = [read(received), read(expected)]
  expect(inputs.length).toBeGreaterThan(5000)
  for (let i = 0; i < inputs.length; i++) {
    const bytes = [received, expected].map((all) => all.slice(i * size, (i + 1) * size).join())
    if (bytes[0] !== bytes[1] && !(Number.isNaN(ours[i]) && Number.isNaN(theirs[i])))
      throw new Error(`${inputs[i]}: received ${ours[i]}, expected ${theirs[i]}`)
  }
})

describe('findNonFinite', () => {
  const floats: Dtype[] = ['F64', 'F32', 'F16', 'BF16', 'F8_E5M2', 'F8_E4M3', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ']
  test.each(floats)('%s', (dtype) => {
    const values = Float32Array.of(1, -2, 0, 240, 0.001)
    expect(findNonFinite(fromFloat32(values, dtype), dtype)).toBe(-1)
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      for (let i = 0; i < values.length; i++) {
        if (dtype === 'F8_E4M3' && !Number.isNaN(bad)) continue // it has no infinity to find
        const bytes = fromFloat32(values.with(i, bad), dtype)
        expect(findNonFinite(bytes, dtype)).toBe(i)
        const shifted = new Uint8Array(bytes.length + 1)
        shifted.set(bytes, 1)
        expect(findNonFinite(shifted.subarray(1), dtype)).toBe(i)
      }
  })

  test('complex, scale and integer types', () => {
    const complex = new Uint8Array(Float32Array.of(1, 2, 3, Number.NaN).buffer)
    expect(findNonFinite(complex, 'C64')).toBe(1)
    expect(findNonFinite(Uint8Array.of(0, 254, 255), 'F8_E8M0')).toBe(2)
    expect(findNonFinite(new Uint8Array(8).fill(255), 'I64')).toBe(-1)
  })
})
