/** Where an unfinished training run keeps its state, so that it can be continued and nothing unfinished stands under the final name. */
import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { recordFile } from '../util/atomic.ts'
import { InputError, systemError } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import { makeFolder } from '../util/make-folder.ts'
import { version } from '../util/version.ts'

/** The training log's file name, in the work folder and then in the model's. */
export const trainLogFile = 'train-log.jsonl'

/** A neighbour of the output folder. */
export const workFolderOf = (out: string): string => `${resolve(out)}.training`

/**
 * Makes the work folder of `out`, or finds the one of the same interrupted run.
 * @param fingerprint identifies the run: same rows, tree and options.
 * @throws InputError `RUN_WAITING` if an interrupted run is there and neither `resume` nor `force` was given, `RESUME_MISMATCH` if it was another run.
 */
export async function openWorkFolder(
  out: string,
  fingerprint: string,
  { resume = false, force = false }: { resume?: boolean; force?: boolean },
): Promise<string> {
  const folder = workFolderOf(out)
  if (await stat(folder).catch(() => undefined)) {
    const old = (await readJson(join(folder, recordFile)).catch(() => undefined)) as
      | { fingerprint?: string }
      | undefined
    if (!old) {
      throw new InputError('OUT_EXISTS', 'The folder for unfinished work exists and was not written by espalier', {
        where: { file: folder },
        help: 'choose another --out, or move that folder away',
      })
    }
    if (resume && old.fingerprint === fingerprint) return folder
    if (resume) {
      throw new InputError('RESUME_MISMATCH', 'The interrupted run had other data or options', {
        where: { file: folder },
        help: 'repeat its command with --resume, or start anew with --force',
      })
    }
    if (!force) {
      throw new InputError('RUN_WAITING', 'An interrupted run with this --out is waiting', {
        where: { file: folder },
        help: 'continue it with --resume, or start anew with --force',
      })
    }
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await makeFolder(folder)
    await writeFile(
      join(folder, recordFile),
      `${JSON.stringify({ espalier: version, verb: 'train', fingerprint }, null, 2)}\n`,
    )
  } catch (error) {
    throw systemError(error) ?? error
  }
  return folder
}

/** Removes a work folder in which nothing worth resuming was saved. */
export async function dropIfEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  if (names.every((name) => name === recordFile)) await rm(folder, { recursive: true, force: true })
}
