/** What the server's main thread and its inference threads say to each other. Answers travel as JSON text, so that the main thread only passes them on. */
import type { ErrorRecord } from '../../util/errors.ts'

/** Scores of every label, as text-embeddings-inference gives them. */
export interface PredictTask {
  kind: 'predict'
  texts: string[]
  /** Logits instead of probabilities. */
  rawScores: boolean
}

/** Label paths, probabilities per level, abstention. */
export interface ClassifyTask {
  kind: 'classify'
  texts: string[]
  topK: number
  minConfidence?: number
}

export interface EmbedTask {
  kind: 'embed'
  texts: string[]
  normalize: boolean
  /** Keep the first so many values. */
  dimensions?: number
  /** rows: bare arrays. objects: as OpenAI wraps them, floats or little-endian float32 in base64. */
  form: 'rows' | 'objects' | 'base64'
}

export interface RerankTask {
  kind: 'rerank'
  query: string
  texts: string[]
  rawScores: boolean
  returnText: boolean
}

export type Task = PredictTask | ClassifyTask | EmbedTask | RerankTask

/** One request's part of a batch. */
export interface WorkItem {
  /** A head of a merged model; undefined: the model's own. */
  head?: string
  /** Refuse texts of more tokens than the model reads, instead of cutting them. */
  strict: boolean
  task: Task
}

export type Answer = { body: string; tokens: number } | { error: ErrorRecord }

/** What a model can do, as found when it was opened. */
export interface ModelDescription {
  /** For people: "ngram", "bert", "roberta", "distilbert". */
  kind: string
  /** Whether the model itself has a classification head. */
  classifies: boolean
  /** Names of further heads. */
  heads: string[]
  /** Length of an embedding; undefined: the model has none. */
  dimensions?: number
  pooling?: 'mean' | 'cls'
  /** Tokens read of each text; undefined: all. */
  maxLength?: number
  labels?: { count: number; levels: number }
}

/** The job of an inference thread: it lasts until it is aborted. */
export interface InferenceJob {
  folder: string
  threads: number
  port: MessagePort
}

export type ToInference = { id: number; items: WorkItem[] }
export type FromInference = { ready: ModelDescription } | { id: number; answers: Answer[] }
