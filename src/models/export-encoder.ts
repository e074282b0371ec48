/** An encoder as an ONNX file that stands alone: token ids in, logits or hidden states out. */
import { encodeOnnx, Graph, program } from '../graph/index.ts'
import { InputError } from '../util/errors.ts'
import type { EncoderModel } from './encoder.ts'
import type { EncoderOutput } from './encoder-runtime.ts'

/** A protobuf message ends below 2 GiB. */
const largestFile = 2 ** 31 - 1

/**
 * The bytes of an ONNX model with the weights inside. Inputs: `input_ids` and `attention_mask`, int64 [B, S]. Output: named by `output`.
 * @throws InputError `EXPORT_OUTPUT` if logits are asked of an encoder without a classifier, `EXPORT_SIZE` if the weights exceed 2 GiB.
 * @example
 * await writeFile('model.onnx', exportEncoder(model, weights, 'logits'))
 */
export function exportEncoder(
  model: EncoderModel,
  weights: ReadonlyMap<string, Float32Array>,
  output: EncoderOutput,
): Uint8Array {
  const graph = new Graph()
  const built = model.build(graph, { tokens: 'ids', hidden: output === 'hidden' })
  const tensor = built[output]
  if (!tensor) throw new InputError('EXPORT_OUTPUT', 'The encoder has no classifier, so it gives no logits')
  const part = program(graph, { [output]: tensor })
  const bytes = part.inputs.reduce((sum, input) => sum + (weights.get(input.tensor.name)?.byteLength ?? 0), 0)
  if (bytes > largestFile)
    throw new InputError(
      'EXPORT_SIZE',
      `An ONNX file holds at most 2 GiB, the weights take ${(bytes / 2 ** 30).toFixed(1)}`,
    )
  return encodeOnnx(graph, part, weights)
}
