/**
 * Training rows that are most like a text: by the cosine of the model's own features, damped and weighted n-gram counts or the encoder's
 * pooled vector. What was computed for a file is kept for the next text.
 */
import { stat } from 'node:fs/promises'
import type { Classifier } from '../../classify/classifier.ts'
import { readDataset } from '../../data/dataset.ts'
import type { ReadOptions } from '../../data/row.ts'
import { type EncoderRuntime, openEncoder } from '../../models/index.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { Neighbours } from './api.ts'
import { openModel } from './open-models.ts'

export interface NeighbourJob {
  folder: string
  /** A head of a merged model. */
  head?: string
  file: string
  read: ReadOptions
  text: string
}

/** Rows compared at most, taken evenly: n-grams are quick, an encoder is not. */
const mostRows = { ngram: 100_000, encoder: 2_000 }
const shown = 8

interface Sparse {
  columns: Uint32Array
  values: Float32Array
}

interface Index {
  stamp: string
  model: Classifier
  rows: { row: number; text: string; paths: string[][] }[]
  total: number
  measure: string
  /** Cosine of a text with every row. */
  compare(text: string): Promise<Float32Array>
  close(): Promise<void>
}

let kept: Index | undefined

export async function nearestRows(
  { folder, head, file, read, text }: NeighbourJob,
  options: RunOptions,
): Promise<Neighbours> {
  const model = await openModel(folder, head, options)
  const { size, mtimeMs } = await stat(file)
  const stamp = JSON.stringify([folder, head, file, size, mtimeMs, read])
  if (kept?.stamp !== stamp || kept.model !== model) {
    await kept?.close()
    kept = undefined
    kept = await buildIndex(model, file, read, stamp, options)
  }
  const { rows, total, measure } = kept
  const similarity = await kept.compare(text)
  const order = Array.from(rows.keys()).sort((a, b) => similarity[b]! - similarity[a]! || a - b)
  return {
    rows: order.slice(0, shown).map((at) => ({ ...rows[at]!, similarity: similarity[at]! })),
    measure,
    searched: rows.length,
    total,
    file,
  }
}

async function buildIndex(
  model: Classifier,
  file: string,
  read: ReadOptions,
  stamp: string,
  options: RunOptions,
): Promise<Index> {
  const { parts } = model.scorer
  const all: Index['rows'] = []
  let total = 0
  for await (const { text, labels } of await readDataset(file, { ...read, signal: options.signal })) {
    all.push({ row: ++total, text, paths: labels.map((path) => [...path]) })
    if (total % 1000 === 0) options.onProgress?.({ step: 'read training rows', done: total, unit: 'rows' })
  }
  const rows = evenly(all, mostRows[parts.kind])
  const base = { stamp, model, rows, total }
  if (parts.kind === 'ngram') {
    const vectors = rows.map(({ text }) => unit(parts.model.features(text)))
    return {
      ...base,
      measure: 'cosine of weighted n-gram counts',
      async compare(text) {
        const { columns, values } = unit(parts.model.features(text))
        const query = new Map(Array.from(columns, (column, i) => [column, values[i]!]))
        return Float32Array.from(vectors, (vector) => {
          let sum = 0
          for (let i = 0; i < vector.columns.length; i++)
            sum += (query.get(vector.columns[i]!) ?? 0) * vector.values[i]!
          return sum
        })
      },
      async close() {},
    }
  }
  const { model: encoder, weights, tokenizer, maxLength, threads } = parts
  const runtime = await openEncoder(encoder, weights, 'pooled', { threads })
  const embed = (texts: readonly string[], run: RunOptions = {}) =>
    embedAll(
      runtime,
      texts.map((text) => tokenizer.encode(text, maxLength)),
      run,
    )
  const vectors = await embed(
    rows.map(({ text }) => text),
    options,
  )
  return {
    ...base,
    measure: "cosine of the encoder's pooled vectors",
    async compare(text) {
      const [query] = await embed([text])
      return Float32Array.from(vectors, (vector) => vector.reduce((sum, value, i) => sum + value * query![i]!, 0))
    },
    close: () => runtime.close(),
  }
}

async function embedAll(runtime: EncoderRuntime, ids: readonly Int32Array[], run: RunOptions): Promise<Float32Array[]> {
  throwIfAborted(run.signal)
  const { signal, onProgress } = run
  const vectors = await runtime.run(ids, {
    ...(signal ? { signal } : {}),
    ...(onProgress
      ? { onProgress: (progress) => onProgress({ ...progress, step: 'read training rows', unit: 'rows' }) }
      : {}),
  })
  return vectors.map((vector) => {
    const length = Math.hypot(...vector) || 1
    return vector.map((value) => value / length)
  })
}

/** The vector at length one. */
function unit({ columns, values }: Sparse): Sparse {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) || 1
  return { columns, values: values.map((value) => value / length) }
}

function evenly<T>(list: readonly T[], most: number): T[] {
  return list.length <= most
    ? [...list]
    : Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)]!)
}
