/** Reads the float32 tensors of a small safetensors file, for fixtures. */
import { readFileSync } from 'node:fs'

export function readFixtureTensors(file: string): Map<string, { shape: number[]; data: Float32Array }> {
  const bytes = readFileSync(file)
  const length = Number(bytes.readBigUInt64LE(0))
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    bytes.subarray(8, 8 + length).toString(),
  )
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>()
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (dtype !== 'F32') continue
    const [start, end] = data_offsets
    tensors.set(name, {
      shape,
      data: new Float32Array(Uint8Array.from(bytes.subarray(8 + length + start, 8 + length + end)).buffer),
    })
  }
  return tensors
}

/** A fixture file as a source of weights. */
export function fixtureSource(folder: string) {
  const tensors = readFixtureTensors(`${folder}/model.safetensors`)
  return { folder, tensors, readFloat32: async (name: string) => tensors.get(name)!.data }
}
