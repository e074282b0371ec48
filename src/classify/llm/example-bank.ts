/** Labelled texts shown to a chat model: so many for each node of the tree, those of an inner node spread over what lies below it. */
import type { LabelTree } from '../../labels/label-tree.ts'
import { permutation, random } from '../../tensor/random.ts'
import type { LabelledTexts } from '../training-data.ts'

/** Per node id, its texts. */
export type ExampleBank = readonly (readonly string[])[]

/** @param shots texts of each label; fewer where there are fewer rows. */
export function drawExamples(
  tree: LabelTree,
  { texts, labels }: LabelledTexts,
  shots: number,
  seed: number,
): ExampleBank {
  const own = tree.nodes.map((): string[] => [])
  if (shots === 0) return own
  for (const row of permutation(texts.length, random(seed, 'llm examples')))
    for (const label of labels[row]!) if (own[label]!.length < shots) own[label]!.push(texts[row]!)
  const bank = own.map((list) => [...list])
  for (let id = tree.size - 1; id >= 0; id--) {
    const below = tree.nodes[id]!.children.map((child) => bank[child]!)
    // One of each child in turn, so that no child speaks for all.
    for (let turn = 0; bank[id]!.length < shots && below.some((list) => turn < list.length); turn++)
      for (const list of below) if (turn < list.length && bank[id]!.length < shots) bank[id]!.push(list[turn]!)
  }
  return bank
}
