/** A recipe whose models are all LoRA adapters: one adapter comes out. */
import type { Recipe } from '../../merge/recipe/recipe.ts'
import { InputError } from '../../util/errors.ts'
import { typedCommand } from '../command-name.ts'
import { formatBytes, formatPercent, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { wrap } from '../text-width.ts'
import { given, type MergeFlags, requiredOut } from './merge-flags.ts'

export async function mergeAdaptersByRecipe(
  recipe: Recipe,
  out: string | undefined,
  flags: MergeFlags,
  session: Session,
): Promise<void> {
  const foreign = (['plan', 'resume', 'strictMergekit', 'maxMemory', 'maxShardSize'] as const).find((key) => flags[key])
  if (foreign !== undefined)
    throw new InputError('USAGE', `${flagName(foreign)} belongs to a merge of models, not of adapters`, {
      help: 'adapters are small: leave it out',
    })
  const folder = requiredOut(out, 'espalier merge RECIPE.yml OUT')
  const { mergeAdapterRecipe } = await import('../../merge/merge.ts')
  const { seed, force } = flags
  const result = await mergeAdapterRecipe(recipe, folder, {
    ...session.run,
    ...given({ seed, force }),
    record: { command: typedCommand() },
  })
  session.settle()
  if (session.json) return session.printJson(result)
  const { combine, rank, modules, error, bytes, bases } = result
  const lost = combine === 'svd' ? `; ${formatPercent(error)} of the merged updates lost by the rank` : ''
  const room = session.stdout.columns - 12
  await session.print(
    ...facts(
      [
        ['merged', wrap(`${plural(modules, 'module')}, ${combine}, rank ${rank}, ${formatBytes(bytes)}${lost}`, room)],
        ...(bases.length > 1
          ? [
              ['remarks', wrap(`the adapters name different base models: ${bases.join(', ')}`, room)] as [
                string,
                string[],
              ],
            ]
          : []),
        ['adapter', folder],
        ['next', `use it in a recipe: model: BASE+${folder}`],
      ],
      (label) => session.stdout.paint('dim', label),
    ),
  )
}

const flagName = (key: string): string => `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
