/** The weights of an encoder: drawn afresh, or read from a checkpoint whose tensors must fit the configuration. */
import { fillNormal, random } from '../tensor/random.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import type { EncoderModel, ParameterSpec } from './encoder.ts'

/** What loading needs of a checkpoint. */
export interface TensorSource {
  readonly folder: string
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>
  readFloat32(name: string): Promise<Float32Array>
}

export interface LoadOptions extends RunOptions {
  /** Draw the classifier afresh, and other parts of the head too if the checkpoint has none: for training on new labels. Default false. */
  newClassifier?: boolean
  /** Seed of what is drawn; default 0. */
  seed?: number
}

/** Fresh values of one parameter, keyed by seed and name. */
export function initialWeight(model: EncoderModel, spec: ParameterSpec, seed: number): Float32Array {
  const values = new Float32Array(spec.shape.reduce((product, size) => product * size, 1))
  if (spec.initial === 'ones') values.fill(1)
  if (spec.initial === 'normal')
    fillNormal(values, random(seed, 'initial', spec.name), 0, model.config.initializerRange)
  return values
}

/** Fresh values of every parameter, by state dict key: the same seed gives the same values. */
export function initialWeights(model: EncoderModel, seed: number): Map<string, Float32Array> {
  return new Map(model.parameters.map((spec) => [spec.name, initialWeight(model, spec, seed)]))
}

/**
 * Weights by state dict key. Keys are found with and without the family's prefix (`bert.`), and by the older names of normalisations.
 * @throws InputError `TENSOR_MISSING`, `TENSOR_SHAPE` naming the tensor, before any is read.
 */
export async function loadWeights(
  model: EncoderModel,
  checkpoint: TensorSource,
  { newClassifier = false, seed = 0, signal, onProgress }: LoadOptions = {},
): Promise<Map<string, Float32Array>> {
  const sources = model.parameters.map((spec) => findTensor(spec, checkpoint, newClassifier))
  const weights = new Map<string, Float32Array>()
  for (const [index, spec] of model.parameters.entries()) {
    throwIfAborted(signal)
    const source = sources[index]
    weights.set(
      spec.name,
      source === undefined ? initialWeight(model, spec, seed) : await checkpoint.readFloat32(source),
    )
    onProgress?.({ step: 'load encoder', done: index + 1, total: model.parameters.length, unit: 'tensors' })
  }
  return weights
}

/** The checkpoint's name for a parameter, or undefined if it is to be drawn. */
function findTensor(spec: ParameterSpec, checkpoint: TensorSource, newClassifier: boolean): string | undefined {
  if (newClassifier && spec.part === 'classifier') return undefined
  const bare = spec.name.replace(/^(bert|roberta|distilbert)\./, '')
  const old = (name: string) =>
    name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta')
  const found = [spec.name, bare, old(spec.name), old(bare)].find((name) => checkpoint.tensors.has(name))
  if (found === undefined) {
    if (newClassifier && spec.part === 'head') return undefined
    throw new InputError(
      'TENSOR_MISSING',
      `Tensor ${spec.name} [${spec.shape.join(', ')}] is missing from the checkpoint`,
      {
        where: { file: checkpoint.folder, tensor: spec.name },
        help:
          spec.part === 'encoder'
            ? 'check that config.json belongs to this checkpoint'
            : 'the checkpoint has no classifier: train one on it first',
        data: { expected: spec.shape },
      },
    )
  }
  const { shape } = checkpoint.tensors.get(found)!
  if (shape.length !== spec.shape.length || shape.some((size, i) => size !== spec.shape[i]))
    throw new InputError('TENSOR_SHAPE', `Expected shape [${spec.shape.join(', ')}], received [${shape.join(', ')}]`, {
      where: { file: checkpoint.folder, tensor: found },
      help: 'check that config.json belongs to this checkpoint',
      data: { expected: spec.shape, received: shape },
    })
  return found
}
