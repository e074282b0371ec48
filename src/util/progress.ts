/** Progress of long work, as data. Faces decide how to show it. */

export interface Progress {
  /** What is being done: "train", "evaluate test", "read data.jsonl". */
  step: string
  done: number
  /** Undefined while the end is not known. */
  total?: number
  /** What `done` counts: "rows", "steps", "bytes". */
  unit?: string
  /** The numbers that matter now, by name: loss, dev path accuracy. */
  metrics?: Record<string, number>
  /** A remark to keep on its own line, such as a fallback that was taken. */
  note?: string
}

/** Every long call takes these. */
export interface RunOptions {
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
}
