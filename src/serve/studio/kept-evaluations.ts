/** Evaluations that the studio computed: kept in its own folder beside the runs, each under the fingerprint of model and data, so that nothing is measured twice. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Report } from '../../evaluate/report.ts'
import { writeFileAtomic } from '../../util/atomic.ts'
import { sha256OfJson } from '../../util/hash.ts'
import type { EvaluationEntry } from './api.ts'
import { readReport, scoreOf } from './read-report.ts'
import { readObject } from './read-run.ts'
import { keepFolder } from './scan-runs.ts'

const entrySchema = v.looseObject({ run: v.string(), stamp: v.string(), report: v.looseObject({}) })

interface Kept {
  run: string
  stamp: string
  report: Report
}

/** What an evaluation depends on. It is another one when a file was written again. */
export async function evaluationStamp(
  folder: string,
  head: string | undefined,
  file: string,
  read: object,
): Promise<string> {
  const state = async (path: string) => {
    const found = await stat(path).catch(() => undefined)
    return found ? [found.size, found.mtimeMs] : []
  }
  const model = await Promise.all(
    ['classifier.json', 'config.json', 'model.safetensors'].map((name) => state(join(folder, name))),
  )
  return sha256OfJson({ model, head, file, data: await state(file), read })
}

export class KeptEvaluations {
  readonly #folder: string
  readonly #memory = new Map<string, Kept>()

  constructor(root: string) {
    this.#folder = join(root, keepFolder, 'evaluations')
  }

  /** Keeps a report; in memory only where the folder cannot be written. */
  async keep(kept: Kept): Promise<string> {
    const id = kept.stamp.slice(0, 24)
    this.#memory.set(id, kept)
    await writeFileAtomic(join(this.#folder, `${id}.json`), JSON.stringify(kept)).catch(() => undefined)
    return id
  }

  async get(id: string): Promise<Report | undefined> {
    return (await this.#read(id))?.report
  }

  /** Those of a run whose fingerprint still holds, newest first. */
  async of(run: string): Promise<EvaluationEntry[]> {
    const names = await readdir(this.#folder).catch(() => [])
    const ids = new Set([
      ...names.filter((name) => /^[0-9a-f]{24}\.json$/.test(name)).map((name) => name.slice(0, 24)),
      ...this.#memory.keys(),
    ])
    const entries: EvaluationEntry[] = []
    for (const id of ids) {
      const kept = await this.#read(id)
      if (kept?.run !== run) continue
      entries.push({ id, score: scoreOf(kept.report), created: kept.report.created, from: 'studio' })
    }
    return entries.sort((a, b) => (a.created < b.created ? 1 : -1))
  }

  async #read(id: string): Promise<Kept | undefined> {
    if (!/^[0-9a-f]{24}$/.test(id)) return undefined
    const known = this.#memory.get(id)
    if (known) return known
    const file = join(this.#folder, `${id}.json`)
    try {
      const { run, stamp, report } = v.parse(entrySchema, await readObject(file))
      const kept = { run, stamp, report: readReport(report, file) }
      this.#memory.set(id, kept)
      return kept
    } catch {
      return undefined // damaged, or removed by hand: it is computed again
    }
  }
}
