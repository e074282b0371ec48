/** `espalier merge`: a recipe in, a checkpoint's folder out; and the other merges, which start from a folder. */
import type { Command } from 'commander'
import { InputError } from '../../util/errors.ts'
import { examples } from '../examples.ts'
import { type MergeFlags, searchMetrics } from '../merge/merge-flags.ts'
import { bytesIn, collect, oneOf, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('RECIPE.yml|MERGED [OUT] [--task NAME] [--plan] [--json]')
    .argument('<RECIPE>', 'a recipe: mergekit YAML; with --task a merged folder')
    .argument('[OUT]', 'the folder to write; not needed with --plan')
    .option('--plan', 'show what would be read, merged and written, and every conflict; read no weights')
    .option(
      '--report <FILE>',
      'with --plan: a page of how models agree, layer by layer; with --align: and of what each task scored before and after',
    )
    .option('--seed <N>', 'key of the random choices of dare and della (default: 0)', wholeIn('--seed', { least: 0 }))
    .option('--threads <N>', "threads at most (default: the machine's cores)", wholeIn('--threads', { least: 1 }))
    .option('--max-memory <SIZE>', 'memory to stay under, such as 300MB or 1GB', bytesIn('--max-memory'))
    .option(
      '--max-shard-size <SIZE>',
      'largest size of one weights file, such as 2GB (default: 5GB)',
      bytesIn('--max-shard-size'),
    )
    .option('--resume', 'continue where an earlier run of the same merge stopped')
    .option('--strict-mergekit', 'compute as mergekit does, rounding at every step, to compare with it')
    .option('--force', 'replace an output folder that espalier wrote')
    .option('--task <NAME>', "write one task's checkpoint from a folder merged by emr, tall_mask, bitdelta or the like")
    .option('--base <DIR>', 'with --task: the base that was merged on, if it is no longer where it was')
    .option(
      '--experts <N>',
      'leave a mixture of experts (a folder) with N experts a layer',
      wholeIn('--experts', { least: 1 }),
    )
    .option('--method <NAME>', 'with --experts: m-smoe, mc-smoe or sub-moe (default: m-smoe)')
    .option(
      '--method-option <KEY=VALUE>',
      'with --experts: an option of the method; with --search: of the search of weights, see: espalier systems unconstrained-merge',
      collect,
    )
    .option('--statistics <FILE>', 'with --experts: JSON, of each layer {usage, logits?, outputs?}')
    .option('--match <MODEL>', "write an encoder (a folder) with its units in another one's order, to merge both")
    .option('--align <DIR>', 'fit the kept heads with few rows of each task, a folder of NAME.jsonl: see align')
    .option('--shots <K>', 'with --align: texts of each label (default: 10)', wholeIn('--shots', { least: 1 }))
    .option(
      '--search <DATA>',
      'choose coefficients by what merges score on labelled texts: a file, or a folder of NAME.jsonl for each task',
    )
    .option(
      '--grid <KEY=VALUES>',
      'with --search: values of an option to try, such as lambda=0.3,0.5,1; given several times, all combinations (default: weights for each model and layer are searched by CMA-ES)',
      collect,
    )
    .option(
      '--metric <NAME>',
      `with --search: the mean over tasks of ${searchMetrics.join(', ')} (default: exactPath)`,
      oneOf('--metric', searchMetrics),
    )
    .option(
      '--data <DIR>',
      'for methods that look at data, such as regmean: rows of each model, a folder of NAME.jsonl named as the models',
    )
    .option('--rows <N>', 'with --data: rows of each model at most (default: 256)', wholeIn('--rows', { least: 1 }))
    .addHelpText(
      'after',
      examples([
        'espalier merge recipe.yml --plan --report agreement.html',
        'espalier merge recipe.yml merged --max-memory 400MB --resume',
        'espalier merge recipe.yml merged --search validation/ --grid lambda=0.3,0.5,1',
      ]),
    )
    .action((recipe: string, out: string | undefined, flags: MergeFlags) => runMerge(recipe, out, flags, session))
}

/** Options that belong to another one, which says what kind of merge it is. */
const owners: readonly [owner: keyof MergeFlags, owned: readonly (keyof MergeFlags)[], help: string][] = [
  ['experts', ['method', 'statistics'], 'a recipe names its method as merge_method'],
  ['search', ['grid', 'metric'], 'name the labelled texts: --search DATA'],
  ['task', ['base'], 'a recipe names its base as base_model'],
  ['align', ['shots'], 'name the folder of rows: --align DIR'],
  ['data', ['rows'], 'name the folder of rows: --data DIR'],
]

const written = (key: string): string => `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

function checkFlags(flags: MergeFlags): void {
  const kinds = (['task', 'experts', 'match', 'align', 'search', 'data'] as const).filter(
    (key) => flags[key] !== undefined,
  )
  if (kinds.length > 1)
    throw new InputError('USAGE', `${kinds.map(written).join(' and ')} do not go together`, {
      help: 'make one folder after the other',
    })
  if (flags.methodOption !== undefined && flags.experts === undefined && flags.search === undefined)
    throw new InputError('USAGE', '--method-option belongs to --experts or --search', {
      help: 'a recipe holds the options of its method under parameters',
    })
  for (const [owner, owned, help] of owners) {
    const alone = flags[owner] === undefined ? owned.find((key) => flags[key] !== undefined) : undefined
    if (alone !== undefined) throw new InputError('USAGE', `${written(alone)} belongs to ${written(owner)}`, { help })
  }
}

async function runMerge(source: string, out: string | undefined, flags: MergeFlags, session: Session): Promise<void> {
  checkFlags(flags)
  if (flags.task !== undefined)
    return (await import('../merge/materialize-task.ts')).materialize(source, flags.task, out, flags, session)
  if (flags.experts !== undefined)
    return (await import('../merge/fewer-experts.ts')).fewerExperts(source, flags.experts, out, flags, session)
  if (flags.match !== undefined)
    return (await import('../merge/match-units.ts')).matchUnits(source, flags.match, out, flags, session)
  if (flags.search !== undefined)
    return (await import('../merge/search-merge.ts')).searchByFile(source, out, flags.search, flags, session)
  if (flags.data !== undefined)
    return (await import('../merge/merge-by-data.ts')).mergeByData(source, out, flags.data, flags, session)
  if (flags.align !== undefined && !flags.plan)
    return (await import('../merge/merge-and-align.ts')).mergeAndAlign(source, out, flags.align, flags, session)
  return (await import('../merge/merge-recipe.ts')).mergeByFile(source, out, flags, session)
}
