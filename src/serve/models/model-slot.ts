/** A model under its name: the engine that answers now, replaced by another when the folder changes, without dropping a request. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { EspalierError } from '../../util/errors.ts'
import { Engine, type EngineOptions } from './engine.ts'

/** The files whose change means another model. */
const watched = [
  'config.json',
  'classifier.json',
  'labels.json',
  'espalier.json',
  'model.safetensors',
  'tokenizer.json',
]

export interface SlotEvents {
  onReload: (outcome: { folder: string; seconds: number; error?: EspalierError }) => void
}

export class ModelSlot {
  readonly name: string
  readonly source: string
  #engine: Engine
  #seen: string | undefined
  #candidate: string | undefined
  #checking = false
  readonly #options: EngineOptions & SlotEvents
  readonly #timer: NodeJS.Timeout | undefined
  readonly #retiring = new Set<Promise<void>>()

  private constructor(
    name: string,
    engine: Engine,
    seen: string | undefined,
    options: EngineOptions & SlotEvents,
    watchMs: number,
  ) {
    this.name = name
    this.source = options.folder
    this.#engine = engine
    this.#seen = seen
    this.#options = options
    if (watchMs > 0 && !options.folder.startsWith('hf:')) {
      this.#timer = setInterval(() => void this.check(), watchMs)
      this.#timer.unref()
    }
  }

  /** @param watchMs milliseconds between looks at the folder; 0: never. */
  static async open(name: string, options: EngineOptions & SlotEvents, watchMs: number): Promise<ModelSlot> {
    const seen = await fingerprint(options.folder)
    return new ModelSlot(name, await Engine.open(options), seen, options, watchMs)
  }

  get engine(): Engine {
    return this.#engine
  }

  /**
   * Looks at the folder, and loads it anew if it differs from what is served and has not changed since the last look (someone may still be
   * copying). A folder that is absent or cannot be opened changes nothing.
   */
  async check(): Promise<void> {
    if (this.#checking) return
    this.#checking = true
    try {
      const now = await fingerprint(this.source)
      if (now === undefined || now === this.#seen) this.#candidate = undefined
      else if (now !== this.#candidate) this.#candidate = now
      else await this.#reload(now)
    } finally {
      this.#checking = false
    }
  }

  async #reload(now: string): Promise<void> {
    const start = performance.now()
    const seconds = () => (performance.now() - start) / 1000
    this.#seen = now // also if it fails: one attempt for each change
    try {
      const old = this.#engine
      this.#engine = await Engine.open(this.#options)
      const retired = old.retire().finally(() => this.#retiring.delete(retired))
      this.#retiring.add(retired)
      this.#options.onReload({ folder: this.source, seconds: seconds() })
    } catch (error) {
      this.#options.onReload({ folder: this.source, seconds: seconds(), error: error as EspalierError })
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([this.#engine.close(), ...this.#retiring])
  }
}

/** Which files stand in the folder: inode, size and time of change; undefined if it holds no model now. */
async function fingerprint(folder: string): Promise<string | undefined> {
  const found = await Promise.all(watched.map((name) => stat(join(folder, name)).catch(() => undefined)))
  if (!found[0]) return undefined
  return found.map((file) => (file ? `${file.ino}:${file.size}:${file.mtimeMs}` : '-')).join(' ')
}
