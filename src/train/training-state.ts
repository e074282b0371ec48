/**
 * The state of a training run on disk: one safetensors file that holds weights, moments, the best weights so far and the position, written
 * atomically, so that the one before stands until the new one does.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openSafetensors, type SafetensorsFile } from '../checkpoint/safetensors-file.ts'
import { type TensorEntry, writeSafetensors } from '../checkpoint/write-safetensors.ts'
import { InputError, systemError } from '../util/errors.ts'
import type { OptimizerState } from './optimizer.ts'

export const stateFile = 'training-state.safetensors'
export const logFile = 'train-log.jsonl'

/** Where a run stands; everything but tensors. */
export interface Position {
  /** What was asked, in short: a resumed run must ask the same. */
  readonly fingerprint: string
  /** Updates done. */
  readonly step: number
  /** Seconds of training so far, over all resumed parts. */
  readonly seconds: number
  readonly best?: { readonly step: number; readonly value: number }
  /** Evaluations since the best one. */
  readonly stale: number
  /** Sums since the last line of the log. */
  readonly since: { readonly steps: number; readonly loss: number; readonly norm: number }
}

export interface TrainingState {
  readonly position: Position
  /** Trained tensors only. */
  readonly weights: ReadonlyMap<string, Float32Array>
  /** Present if `position.best` is. */
  readonly best?: ReadonlyMap<string, Float32Array>
  readonly optimizer: OptimizerState
}

/** Makes the work folder and clears what a killed run left half-written there. */
export async function openWorkFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    for (const name of await readdir(folder))
      if (name.startsWith(`.${stateFile}.tmp-`)) await rm(join(folder, name), { force: true })
  } catch (error) {
    throw systemError(error) ?? error
  }
}

/** Whether the folder holds a state to resume. */
export async function hasTrainingState(folder: string): Promise<boolean> {
  return (await stat(join(folder, stateFile)).catch(() => undefined)) !== undefined
}

/** Writes the state; the one before is replaced when the new one is complete. */
export async function saveTrainingState(folder: string, state: TrainingState): Promise<void> {
  const entries: TensorEntry[] = []
  const add = (kind: string, name: string, data: Float32Array | Int32Array) =>
    entries.push({
      name: `${kind} ${name}`,
      dtype: data instanceof Int32Array ? 'I32' : 'F32',
      shape: [data.length],
      data,
    })
  for (const [name, data] of state.weights) add('weights', name, data)
  for (const [name, data] of state.best ?? []) add('best', name, data)
  for (const [name, { first, second, last }] of state.optimizer.moments) {
    add('first', name, first)
    add('second', name, second)
    if (last) add('last', name, last)
  }
  const rates = Float64Array.from(state.optimizer.rates)
  entries.push({ name: 'rates', dtype: 'F64', shape: [rates.length], data: rates })
  await writeSafetensors(join(folder, stateFile), entries, { position: JSON.stringify(state.position) })
}

/**
 * Reads the state.
 * @throws InputError `RESUME_OTHER` if the run was another one.
 */
export async function loadTrainingState(folder: string, fingerprint: string): Promise<TrainingState> {
  const file = await openSafetensors(join(folder, stateFile))
  try {
    const position = JSON.parse(file.metadata['position'] ?? '{}') as Position
    if (position.fingerprint !== fingerprint)
      throw new InputError('RESUME_OTHER', 'The unfinished run had other data, options or encoder', {
        where: { file: join(folder, stateFile) },
        help: 'give the same ones again with --resume, or start anew with --force',
      })
    const byKind = { weights: new Map(), best: new Map(), first: new Map(), second: new Map() } as Record<
      string,
      Map<string, Float32Array>
    >
    const last = new Map<string, Int32Array>()
    for (const key of file.tensors.keys()) {
      const [kind, name] = [key.slice(0, key.indexOf(' ')), key.slice(key.indexOf(' ') + 1)]
      if (kind === 'last') last.set(name, new Int32Array(await read(file, key)))
      else byKind[kind]?.set(name, new Float32Array(await read(file, key)))
    }
    const moments = new Map(
      Array.from(byKind['first']!, ([name, first]) => {
        const rows = last.get(name)
        return [name, { first, second: byKind['second']!.get(name)!, ...(rows ? { last: rows } : {}) }]
      }),
    )
    const rates = Array.from(new Float64Array(await read(file, 'rates')))
    return {
      position,
      weights: byKind['weights']!,
      ...(position.best ? { best: byKind['best']! } : {}),
      optimizer: { rates, moments },
    }
  } finally {
    await file.close()
  }
}

async function read(file: SafetensorsFile, name: string): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(file.tensors.get(name)!.bytes)
  await file.readInto(name, bytes)
  return bytes.buffer
}

/** A hash of plain data and arrays, in the order given. */
export function fingerprintOf(...parts: (ArrayBufferView | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    const bytes =
      typeof part === 'string' ? Buffer.from(part) : new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
    hash.update(`${bytes.length} `)
    hash.update(bytes)
  }
  return hash.digest('hex')
}
