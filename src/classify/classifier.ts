/** A trained classifier: label tree, head, scorer, and how scores become answers. Saved as one folder, which `loadClassifier` reads back. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LabelTree } from '../labels/label-tree.ts'
import { readLabelTree } from '../labels/read-label-tree.ts'
import { recordFile, writeFolderAtomic } from '../util/atomic.ts'
import { readJson } from '../util/json.ts'
import { ClassifierCore } from './classifier-core.ts'
import { type ClassifierSettings, parseSettings, settingsFile, treeFile } from './classifier-settings.ts'
import type { Scorer } from './scorer.ts'

export { type ClassifierSettings, layoutOf, settingsFile, treeFile } from './classifier-settings.ts'

export class Classifier extends ClassifierCore {
  declare readonly scorer: Scorer
  /** What made it: version, command, options, inputs, seed, metrics. Written to `espalier.json`. */
  readonly record: Record<string, unknown>

  constructor(tree: LabelTree, settings: ClassifierSettings, scorer: Scorer, record: Record<string, unknown>) {
    super(tree, settings, scorer)
    this.record = record
  }

  /**
   * Saves the classifier as a folder, atomically.
   * @throws InputError `OUT_EXISTS` if the folder exists, unless `force` is set and this package wrote it.
   */
  async save(folder: string, options: { force?: boolean } = {}): Promise<void> {
    await writeFolderAtomic(folder, options, (temporary) => this.writeInto(temporary))
  }

  /** Writes the classifier's files into an existing folder. */
  async writeInto(folder: string): Promise<void> {
    await this.scorer.save(folder)
    await writeFile(join(folder, treeFile), `${JSON.stringify(this.tree, null, 1)}\n`)
    await writeFile(join(folder, settingsFile), `${JSON.stringify(this.settings)}\n`)
    await writeFile(join(folder, recordFile), `${JSON.stringify(this.record, null, 2)}\n`)
  }

  /** Frees the scorer's memory. */
  close(): Promise<void> {
    return this.scorer.close()
  }
}

/** Reads tree and settings of a saved classifier and checks that they fit each other. */
export async function readClassifierFiles(folder: string): Promise<{ tree: LabelTree; settings: ClassifierSettings }> {
  const tree = await readLabelTree(join(folder, treeFile))
  const file = join(folder, settingsFile)
  return { tree, settings: parseSettings(await readJson(file), tree, file) }
}
