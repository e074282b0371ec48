/** Reads label trees from JSON files; their forms are described in parse-label-tree.ts. */
import { readJson } from '../util/json.ts'
import type { LabelTree } from './label-tree.ts'
import { parseLabelTree } from './parse-label-tree.ts'

export { parseLabelTree } from './parse-label-tree.ts'

/** Reads `file` and builds its tree. Throws InputError `TREE_FORMAT` and the errors of LabelTree and readJson, all naming the file. */
export async function readLabelTree(file: string): Promise<LabelTree> {
  return parseLabelTree(await readJson(file), file)
}
