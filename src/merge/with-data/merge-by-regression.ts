/** Carries RegMean out, for all layers at once or from the bottom up: Gram matrices of every model's inputs, and one solution for each linear map. */
import { Graph } from '../../graph/index.ts'
import { MatrixKernels, matrix } from '../../tensor/linear-algebra/index.ts'
import { throwIfAborted } from '../../util/errors.ts'
import { layerOf } from '../plan/tensor-names.ts'
import type { DataMerged, DataMergeRun } from './data-merge-method.ts'
import { GramCollector, linearInputs, tokenCounts } from './linear-grams.ts'
import {
  addGram,
  addModel,
  emptyRegression,
  mergeRows,
  type Regression,
  shrunk,
  solveRegression,
} from './regression-merge.ts'
import { mergeRest, type Rest } from './rest.ts'
import type { Specialists, Weights } from './specialists.ts'

export interface RegmeanOptions {
  readonly alpha: number
  readonly ridge: number
  readonly embeddings: 'counts' | 'mean' | 'rest'
  readonly rest: Rest
  readonly lambda: number
}

/** All maps on the inputs that each model gives itself. */
export async function mergeAtOnce(
  specialists: Specialists,
  options: RegmeanOptions,
  { threads, signal, onProgress }: DataMergeRun,
): Promise<DataMerged> {
  const { models, shared, shapes } = specialists
  const kernels = await MatrixKernels.open()
  const mergedNames = new Set(shared)
  const collector = await GramCollector.open(models[0]!.model, (name) => mergedNames.has(name), { threads })
  const regressions = new Map<string, Regression>()
  try {
    for (const [t, { weights, rows }] of models.entries()) {
      onProgress?.({ step: 'regmean', done: t, total: models.length, unit: 'models' })
      const grams = await collector.collect(weights, rows.tokens, signal ? { signal } : {})
      addGrams(kernels, regressions, grams, weights, shapes, options.alpha)
    }
  } finally {
    await collector.close()
  }
  const merged = mergeOthers(specialists, (name) => regressions.has(name), options)
  for (const [name, regression] of regressions) {
    throwIfAborted(signal)
    merged.set(name, Float32Array.from(solveRegression(kernels, regression, options.ridge).data))
  }
  return { weights: merged, report: { linearMaps: regressions.size } }
}

/** Layer by layer, on the inputs that the merged layers below give. */
export async function mergeLayerByLayer(
  specialists: Specialists,
  options: RegmeanOptions,
  { threads, signal, onProgress }: DataMergeRun,
): Promise<DataMerged> {
  const { models, shared, shapes } = specialists
  const { model } = models[0]!
  const kernels = await MatrixKernels.open()
  const sharedNames = new Set(shared)
  const linear = [...linearInputs(model.build(new Graph())).keys()].filter((name) => sharedNames.has(name))
  const others = mergeOthers(specialists, (name) => linear.includes(name), options)
  const layers = layersOf(shared)
  const merged = new Map([...others].filter(([name]) => !layers.some((layer) => layer.includes(name))))
  for (const [index, layer] of layers.entries()) {
    onProgress?.({ step: 'regmean-plusplus', done: index, total: layers.length, unit: 'layers' })
    const maps = new Set(linear.filter((name) => layer.includes(name)))
    const regressions = new Map<string, Regression>()
    const collector = await GramCollector.open(model, (name) => maps.has(name), { threads })
    try {
      for (const { weights, rows } of models) {
        const below = new Map([...weights, ...merged])
        const grams = await collector.collect(below, rows.tokens, signal ? { signal } : {})
        addGrams(kernels, regressions, grams, weights, shapes, options.alpha)
      }
    } finally {
      await collector.close()
    }
    for (const name of layer) {
      const regression = regressions.get(name)
      const values = regression ? solveRegression(kernels, regression, options.ridge).data : others.get(name)!
      merged.set(name, Float32Array.from(values))
    }
  }
  return { weights: merged, report: { layers: layers.length } }
}

/** Everything but linear maps. */
function mergeOthers(specialists: Specialists, linear: (name: string) => boolean, options: RegmeanOptions): Weights {
  const { models, shared } = specialists
  const { model } = models[0]!
  const merged: Weights = new Map()
  for (const name of shared) {
    if (linear(name)) continue
    if (name === model.tokenTable && options.embeddings !== 'rest') {
      const counts = models.map(({ rows }) => tokenCounts(rows.tokens, model.config.vocabularySize))
      const tables = models.map(({ weights }) => weights.get(name)!)
      merged.set(
        name,
        options.embeddings === 'counts'
          ? mergeRows(tables, counts, model.config.hiddenSize)
          : mergeRest(specialists, name, 'mean', 1),
      )
    } else merged.set(name, mergeRest(specialists, name, options.rest, options.lambda))
  }
  return merged
}

/** Adds a model's Gram matrices to the regressions of its linear maps. */
function addGrams(
  kernels: MatrixKernels,
  regressions: Map<string, Regression>,
  grams: Awaited<ReturnType<GramCollector['collect']>>,
  weights: Weights,
  shapes: ReadonlyMap<string, readonly number[]>,
  alpha: number,
): void {
  const done = new Map<object, { shrunk: ReturnType<typeof shrunk>; total: Regression['inputs'] }>()
  for (const [name, gram] of grams) {
    let entry = done.get(gram)
    if (!entry) {
      const total = regressions.get(name)?.inputs ?? matrix(gram.sum.rows, gram.sum.rows)
      done.set(gram, (entry = { shrunk: shrunk(gram, alpha), total }))
      addGram(total, entry.shrunk)
    }
    if (!regressions.has(name)) regressions.set(name, emptyRegression(shapes.get(name)![0]!, entry.total))
    addModel(kernels, regressions.get(name)!, weights.get(name)!, entry.shrunk)
  }
}

/** Names by layer from the bottom up, then those after the layers that have linear maps; embeddings are before all. */
function layersOf(names: readonly string[]): string[][] {
  const layers: string[][] = []
  const after: string[] = []
  for (const name of names) {
    const layer = layerOf(name)
    if (layer) (layers[layer.index] ??= []).push(name)
    else if (!/embeddings\./.test(name)) after.push(name)
  }
  return after.length > 0 ? [...layers, after] : layers
}
