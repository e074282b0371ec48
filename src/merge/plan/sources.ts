/** Where a tensor's elements lie: in a file, or in a file with a LoRA applied. */
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import type { MergeInput } from './merge-inputs.ts'
import type { LoraSource, StoredSource, TensorSource } from './merge-plan.ts'
import { withoutPrefix } from './tensor-names.ts'

export function storedSource({ place, dtype }: TensorInfo): StoredSource {
  return { kind: 'stored', file: place!.file, offset: place!.offset, dtype }
}

/** The source of a model's tensor, with its adapter applied if that changes the tensor. */
export function sourceOf(input: MergeInput, info: TensorInfo): TensorSource {
  const { adapter } = input
  const name = adapter && adapter.prefix + withoutPrefix(info.name, input.prefix)
  const find = <T>(table: ReadonlyMap<string, T>) => table.get(info.name) ?? table.get(name!)
  const replaced = adapter && find(adapter.replaced)
  if (replaced) return storedSource(replaced)
  const factors = adapter && find(adapter.factors)
  if (!factors) return storedSource(info)
  const [rows, columns] = [info.shape[0]!, info.shape.slice(1).reduce((product, size) => product * size, 1)]
  const source: LoraSource = {
    kind: 'lora',
    weight: storedSource(info),
    a: storedSource(factors.a),
    b: storedSource(factors.b),
    rank: factors.a.shape[0]!,
    scale: factors.scale,
    rows,
    columns,
    transposed: factors.transposed,
  }
  return source
}
