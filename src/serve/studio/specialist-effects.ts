/**
 * Which specialist of a merged model moved a decision: the merge is done again without each of them in turn, by the recipe in the model's record,
 * and the decision's margin is compared. Exact for any method, at the cost of a merge for each specialist.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { headsFolder } from '../../classify/load-tasks.ts'
import type { RowAnswer } from '../../classify/row-answer.ts'
import { formatPath } from '../../labels/label-tree.ts'
import { mergeRecipe } from '../../merge/merge.ts'
import type { Recipe } from '../../merge/recipe/recipe.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { answerOf, type TextJob } from './answer-text.ts'
import type { SpecialistEffects } from './api.ts'
import { type MergeSource, recipeOf, withoutModel } from './merge-record.ts'
import { openModel, openUnshared } from './open-models.ts'

export interface SpecialistJob extends TextJob {
  record: Record<string, unknown>
  sources: MergeSource[]
}

/** Log of a label's probability against that of another: what decides between them. */
const marginOf = ({ probability }: RowAnswer, a: number, b: number): number =>
  Math.log(Math.max(probability(a), 1e-300)) - Math.log(Math.max(probability(b), 1e-300))

export async function specialistEffects(
  { folder, head, text, record, sources }: SpecialistJob,
  options: RunOptions,
): Promise<SpecialistEffects> {
  const start = performance.now()
  const recorded = recipeOf(record, sources)
  const recipe: Recipe = head === undefined ? recorded : { ...recorded, head: { kind: 'keep-per-task' } }
  const model = await openModel(folder, head, options)
  const whole = await answerOf(model, text, 2)
  const [first, second] = whole.top
  const [label, rival] = [first!.id, second?.id ?? first!.id]
  const specialists = sources.filter(({ base }) => !base)
  const effects: SpecialistEffects['effects'] = []
  const temporary = await mkdtemp(join(tmpdir(), 'espalier-studio-'))
  try {
    for (const [index, { label: name, folder: place }] of specialists.entries()) {
      throwIfAborted(options.signal)
      options.onProgress?.({ step: `merge without ${name}`, done: index, total: specialists.length, unit: 'merges' })
      const out = join(temporary, String(index))
      await mergeRecipe(withoutModel(recipe, place), out, { signal: options.signal, seed: Number(record['seed'] ?? 0) })
      // The head that was asked stays as it is: only the encoder below it changes.
      if (head !== undefined) {
        const own = join(headsFolder, head)
        await cp(join(folder, own), join(out, own), { recursive: true, force: true })
      }
      const without = await openUnshared(out, head, options)
      try {
        const other = await answerOf(without.model, text, 1)
        const answer = formatPath(without.model.tree.path(other.top[0]!.id))
        effects.push({ specialist: name, margin: marginOf(other, label, rival), answer })
      } finally {
        await without.close()
      }
      await rm(out, { recursive: true, force: true })
    }
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return {
    label: formatPath(model.tree.path(label)),
    rival: formatPath(model.tree.path(rival)),
    margin: marginOf(whole, label, rival),
    effects,
    seconds: (performance.now() - start) / 1000,
  }
}
