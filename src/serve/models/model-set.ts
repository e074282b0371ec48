/** The models of a server by name. The first one answers requests that name none. */
import { basename, resolve } from 'node:path'
import { InputError } from '../../util/errors.ts'
import { didYouMean } from '../../util/suggest.ts'
import type { EngineOptions } from './engine.ts'
import { ModelSlot, type SlotEvents } from './model-slot.ts'

export type ModelSetOptions = Omit<EngineOptions, 'folder' | 'onFault' | 'onBatch'> & {
  watchMs: number
  events(name: string): Pick<EngineOptions, 'onFault' | 'onBatch'> & SlotEvents
}

/** A name that a request may give: a model, or a head of it as `MODEL:HEAD`. */
export interface FoundModel {
  slot: ModelSlot
  head?: string
}

export class ModelSet {
  readonly #slots = new Map<string, ModelSlot>()
  readonly #options: ModelSetOptions

  constructor(options: ModelSetOptions) {
    this.#options = options
  }

  /**
   * Opens a model. @throws InputError `MODEL_NAME` for a name that is taken or has other characters than letters, digits, `.`, `_` and `-`;
   * the faults of opening it.
   */
  async add(name: string, source: string): Promise<ModelSlot> {
    if (!/^[\w.-]+$/.test(name))
      throw new InputError(
        'MODEL_NAME',
        `Expected a model name of letters, digits, ".", "_" and "-", received "${name}"`,
        {
          help: 'write NAME=FOLDER',
        },
      )
    if (this.#slots.has(name))
      throw new InputError('MODEL_NAME', `Two models are named "${name}"`, { help: 'name them: NAME=FOLDER' })
    const { watchMs, events, ...rest } = this.#options
    const slot = await ModelSlot.open(name, { ...rest, ...events(name), folder: source }, watchMs)
    this.#slots.set(name, slot)
    return slot
  }

  /** Closes a model and forgets it; answers what it was asked before. */
  async remove(name: string): Promise<void> {
    const { slot } = this.find(name)
    this.#slots.delete(name)
    await slot.engine.retire()
    await slot.close()
  }

  get slots(): ModelSlot[] {
    return [...this.#slots.values()]
  }

  /** Every name that a request may give. */
  get names(): string[] {
    return this.slots.flatMap(({ name, engine: { description } }) => [
      ...(description.classifies || description.heads.length === 0 ? [name] : []),
      ...description.heads.map((head) => `${name}:${head}`),
    ])
  }

  /** @throws InputError `MODEL_UNKNOWN` */
  find(name: string | undefined): FoundModel {
    const [model, head] = name === undefined ? [this.slots[0]?.name ?? ''] : name.split(':', 2)
    const slot = this.#slots.get(model!)
    if (slot && (head === undefined || slot.engine.description.heads.includes(head)))
      return { slot, ...(head === undefined ? {} : { head }) }
    throw new InputError('MODEL_UNKNOWN', `There is no model "${name ?? ''}" here`, {
      help: didYouMean(name ?? '', this.names, `it may be one of ${this.names.join(', ')}`),
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.close()))
  }
}

/** `NAME=FOLDER`, or a folder, which is named like its last part. */
export function modelEntry(text: string): { name: string; source: string } {
  const [, name, source] = /^([\w.-]+)=(.+)$/s.exec(text) ?? []
  if (name !== undefined && source !== undefined) return { name, source }
  const last = text.startsWith('hf:') ? text.split('/').at(-1)!.replace(/@.*$/, '') : basename(resolve(text))
  return { name: last.replaceAll(/[^\w.-]+/g, '-'), source: text }
}
