/** `espalier merge`: a recipe in, a checkpoint's folder out; or, with --plan, what that would do. */
import { rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { RouterStatistics } from '../../merge/experts/expert-method.ts'
import type { MergeResult, MergeRunOptions } from '../../merge/merge.ts'
import type { Conflict, MergePlan } from '../../merge/plan/merge-plan.ts'
import type { Recipe } from '../../merge/recipe/recipe.ts'
import type { MergeReport } from '../../merge/report/merge-report.ts'
import { writeFileAtomic } from '../../util/atomic.ts'
import { formatPlace, InputError, InterruptedError } from '../../util/errors.ts'
import { readJson } from '../../util/json.ts'
import { alignmentLines, taskDatasets } from '../align-data.ts'
import { typedCommand } from '../command-name.ts'
import { examples } from '../examples.ts'
import { formatBytes, formatNumber, formatSeconds, plural } from '../format.ts'
import { bytesIn, collect, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { wrap } from '../text-width.ts'

interface MergeFlags {
  plan?: boolean
  seed?: number
  threads?: number
  maxMemory?: number
  maxShardSize?: number
  resume?: boolean
  force?: boolean
  strictMergekit?: boolean
  report?: string
  task?: string
  base?: string
  experts?: number
  method?: string
  methodOption?: string[]
  statistics?: string
  match?: string
  align?: string
  shots?: number
}

export function configure(command: Command, session: Session): void {
  command
    .usage('RECIPE.yml|MERGED [OUT] [--task NAME] [--plan] [--json]')
    .argument('<RECIPE>', 'a recipe: mergekit YAML; with --task a merged folder')
    .argument('[OUT]', 'the folder to write; not needed with --plan')
    .option('--plan', 'show what would be read, merged and written, and every conflict; read no weights')
    .option('--report <FILE>', 'with --plan: a page of how models agree, layer by layer; reads weights')
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
      'with --experts: an option of the method; may be given several times',
      collect,
    )
    .option('--statistics <FILE>', 'with --experts: JSON, of each layer {usage, logits?, outputs?}')
    .option('--match <MODEL>', "write an encoder (a folder) with its units in another one's order, to merge both")
    .option('--align <DIR>', 'fit the kept heads with few rows of each task, a folder of NAME.jsonl: see align')
    .option('--shots <K>', 'with --align: texts of each label (default: 10)', wholeIn('--shots', { least: 1 }))
    .addHelpText(
      'after',
      examples([
        'espalier merge recipe.yml --plan --report agreement.html',
        'espalier merge recipe.yml merged --max-memory 400MB --resume',
        'espalier merge merged news-model --task news',
      ]),
    )
    .action((recipe: string, out: string | undefined, flags: MergeFlags) => runMerge(recipe, out, flags, session))
}

async function runMerge(file: string, out: string | undefined, flags: MergeFlags, session: Session): Promise<void> {
  if (flags.task !== undefined) return materialize(file, flags.task, out, flags, session)
  if (flags.experts !== undefined) return fewerExperts(file, flags.experts, out, flags, session)
  if (flags.match !== undefined) return matchUnits(file, flags.match, out, flags, session)
  const alone = (['method', 'methodOption', 'statistics'] as const).find((key) => flags[key] !== undefined)
  if (alone !== undefined)
    throw new InputError('USAGE', `--${alone === 'methodOption' ? 'method-option' : alone} belongs to --experts`, {
      help: 'a recipe names its method as merge_method',
    })
  if (flags.base !== undefined)
    throw new InputError('USAGE', '--base belongs to --task', { help: 'a recipe names its base as base_model' })
  if (flags.shots !== undefined && flags.align === undefined)
    throw new InputError('USAGE', '--shots belongs to --align', { help: 'name the folder of rows: --align DIR' })
  const { readRecipe } = await import('../../merge/recipe/read-recipe.ts')
  const { mergeRecipe, planRecipe } = await import('../../merge/merge.ts')
  const recipe = await readRecipe(file)
  const { seed, threads, maxMemory, maxShardSize: maxShardBytes, resume, force, strictMergekit } = flags
  const options = {
    ...session.run,
    ...given({ seed, threads, maxMemory, maxShardBytes, resume, force, strictMergekit }),
  }
  if (flags.plan) {
    const plan = await planRecipe(recipe, options)
    const report = flags.report === undefined ? undefined : await reportOn(plan, flags.report, session)
    session.settle()
    if (session.json) await session.printJson({ ...planDocument(plan), ...(report ? { report } : {}) })
    else await session.print(...planLines(file, plan, session), ...(report ? [`agreement   ${flags.report}`] : []))
    const blocking = plan.conflicts.filter(({ severity }) => severity === 'error').length
    if (blocking > 0) process.exitCode = 2
    return
  }
  if (flags.report !== undefined)
    throw new InputError('USAGE', '--report goes with --plan', { help: 'add --plan: the page is made before merging' })
  if (out === undefined)
    throw new InputError('USAGE', 'Missing argument OUT', {
      help: 'name the folder to write: espalier merge RECIPE.yml OUT, or pass --plan',
    })
  try {
    const record = { command: typedCommand() }
    if (flags.align !== undefined)
      return await mergeAndAlign(recipe, out, flags.align, { ...options, record }, flags, session)
    const result = await mergeRecipe(recipe, out, { ...options, record })
    session.settle()
    if (session.json) await session.printJson(resultDocument(result))
    else await session.print(...resultLines(result, session))
  } catch (error) {
    if (error instanceof InterruptedError) throw new InterruptedError(undefined, { help: 'continue with --resume' })
    throw error
  }
}

/** A merge whose heads are fitted before it gets its name. */
async function mergeAndAlign(
  recipe: Recipe,
  out: string,
  rows: string,
  options: MergeRunOptions,
  { shots, seed }: MergeFlags,
  session: Session,
): Promise<void> {
  const [{ mergeRecipe }, { align }, { ftClassifier }, { checkOutputFolder }] = await Promise.all([
    import('../../merge/merge.ts'),
    import('../../align/align.ts'),
    import('../../align/methods/index.ts'),
    import('../../util/atomic.ts'),
  ])
  await checkOutputFolder(out, options.force)
  if (!(await stat(rows).catch(() => undefined))?.isDirectory())
    throw new InputError('ENOENT', 'The folder of rows is not there', {
      where: { file: rows },
      help: 'give a folder with a file for each task, such as few/trec.jsonl',
    })
  const unaligned = `${resolve(out)}.unaligned`
  const result = await mergeRecipe(recipe, unaligned, { ...options, force: true })
  const data = await taskDatasets(unaligned, rows, {}, session)
  const { tasks } = await align(unaligned, data, {
    ...session.run,
    method: ftClassifier(shots === undefined ? {} : { shots }),
    out,
    command: typedCommand(),
    ...(seed === undefined ? {} : { seed }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.force === undefined ? {} : { force: options.force }),
  })
  await rm(unaligned, { recursive: true, force: true })
  session.settle()
  const shown = { ...result, folder: out }
  if (session.json) await session.printJson({ ...resultDocument(shown), align: tasks })
  else await session.print(...resultLines(shown, session), '', ...alignmentLines(tasks, session))
}

/** One task's checkpoint from a merged folder. */
async function materialize(
  folder: string,
  task: string,
  out: string | undefined,
  { base, force, plan }: MergeFlags,
  session: Session,
): Promise<void> {
  if (plan)
    throw new InputError('USAGE', '--plan belongs to a recipe, not to --task', { help: 'leave one of them out' })
  if (out === undefined)
    throw new InputError('USAGE', 'Missing argument OUT', {
      help: 'name the folder to write: espalier merge MERGED OUT --task NAME',
    })
  const { materializeTask } = await import('../../merge/merge.ts')
  const result = await materializeTask(folder, task, out, {
    ...session.run,
    ...given({ base, force }),
    command: typedCommand(),
  })
  session.settle()
  if (session.json) await session.printJson(result)
  else
    await session.print(
      ...facts(
        [
          ['task', `${result.task.name} · ${plural(result.tensors, 'tensor')}, ${formatBytes(result.bytes)}`],
          ['model', result.folder],
          ['next', `espalier inspect ${result.folder}`],
        ],
        (label) => session.stdout.paint('dim', label),
      ),
    )
}

/** A mixture of experts with fewer of them. */
async function fewerExperts(
  folder: string,
  experts: number,
  out: string | undefined,
  flags: MergeFlags,
  session: Session,
): Promise<void> {
  if (flags.plan)
    throw new InputError('USAGE', '--plan belongs to a recipe, not to --experts', { help: 'leave one of them out' })
  if (out === undefined)
    throw new InputError('USAGE', 'Missing argument OUT', {
      help: 'name the folder to write: espalier merge MODEL OUT --experts N',
    })
  const { mergeExperts } = await import('../../merge/merge.ts')
  const { expertMethods, findMethod } = await import('../methods.ts')
  const { parseMethodOptions } = await import('../method-options.ts')
  const factory = findMethod(await expertMethods(), (flags.method ?? 'm-smoe').replaceAll('_', '-'))
  const method = factory(parseMethodOptions(factory.info.name, factory.schema, flags.methodOption ?? []))
  const { force, statistics } = flags
  const result = await mergeExperts(folder, {
    ...session.run,
    ...given({ force }),
    experts,
    method,
    out,
    ...(statistics === undefined ? {} : { statistics: (await readJson(statistics)) as RouterStatistics[] }),
  })
  session.settle()
  if (session.json) return session.printJson(result)
  const room = session.stdout.columns - 12
  await session.print(
    ...facts(
      [
        [
          'merged',
          `${plural(result.groups.length, 'layer')}, ${formatBytes(result.bytesBefore)} to ${formatBytes(result.bytes)}`,
        ],
        [
          'groups',
          result.groups.flatMap(({ layer, groupOf, cores }) =>
            wrap(
              `${layer}: ${cores.map((_, g) => groupOf.flatMap((group, e) => (group === g ? [e] : [])).join('+')).join('  ')}`,
              room,
            ),
          ),
        ],
        ['model', result.folder],
        ['next', `espalier inspect ${result.folder}`],
      ],
      (label) => session.stdout.paint('dim', label),
    ),
  )
}

/** An encoder with its units in another one's order. */
async function matchUnits(
  folder: string,
  reference: string,
  out: string | undefined,
  { force, plan }: MergeFlags,
  session: Session,
): Promise<void> {
  if (plan)
    throw new InputError('USAGE', '--plan belongs to a recipe, not to --match', { help: 'leave one of them out' })
  if (out === undefined)
    throw new InputError('USAGE', 'Missing argument OUT', {
      help: 'name the folder to write: espalier merge MODEL OUT --match REFERENCE',
    })
  const { permuteToMatch } = await import('../../merge/merge.ts')
  const result = await permuteToMatch(folder, { ...session.run, ...given({ force }), reference, out })
  session.settle()
  if (session.json) return session.printJson(result)
  await session.print(
    ...facts(
      [
        ['matched', `${formatNumber(result.moved)} of ${plural(result.units, 'unit')} moved`],
        ['likeness', `cosine of the weights ${result.before.toFixed(3)} before, ${result.after.toFixed(3)} after`],
        ['model', result.folder],
        ['next', `espalier merge RECIPE.yml OUT, with ${reference} and ${result.folder}`],
      ],
      (label) => session.stdout.paint('dim', label),
    ),
  )
}

/** Compares the models, and writes the page. */
async function reportOn(plan: MergePlan, file: string, session: Session): Promise<MergeReport> {
  const { mergeReport } = await import('../../merge/report/merge-report.ts')
  const { renderMergeReport } = await import('../../merge/report/render-merge-report.ts')
  const report = await mergeReport(plan, session.run)
  await writeFileAtomic(file, renderMergeReport(report))
  return report
}

/** Only the options that were given. */
function given<T extends object>(options: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}

function planDocument(plan: MergePlan): Record<string, unknown> {
  const { tensors, heads, ...rest } = plan
  const shown = tensors.map(({ name, shape, dtype, action, keys, options }) => ({
    name,
    shape,
    dtype,
    action,
    models: keys,
    options,
  }))
  return {
    ...rest,
    heads: heads.map(({ label, tensors }) => ({ model: label, tensors: tensors.map(({ name }) => name) })),
    tensors: shown,
  }
}

function resultDocument({ folder, bytes, resumed, seconds, plan }: MergeResult): Record<string, unknown> {
  const { inputs, weights, conflicts, readBytes, threads } = plan
  return {
    folder,
    bytes,
    resumedTensors: resumed,
    seconds,
    tensors: plan.tensors.length,
    inputs,
    weights,
    conflicts,
    readBytes,
    threads,
  }
}

function planLines(file: string, plan: MergePlan, session: Session): string[] {
  const { paint, columns } = session.stdout
  const room = columns - 12
  const { inputs, weights, heads, conflicts, tensors } = plan
  const base = inputs.find((input) => input.base)
  const counts = [...new Set(inputs.map((input) => input.tensors))]
  const shared = tensors.find(({ action }) => action === 'merge')
  const errors = conflicts.filter(({ severity }) => severity === 'error')
  const entries: [string, string | string[]][] = [
    [
      'recipe',
      wrap(
        `${file} · ${plan.method.replaceAll('-', '_')}${optionText(shared?.options)}${base ? ` · base ${base.label}` : ''} · ${plural(inputs.length - (base ? 1 : 0), 'model')}`,
        room,
      ),
    ],
    [
      'inputs',
      wrap(
        `${inputs.length} × ${sizeRange(inputs.map(({ bytes }) => bytes))} ${[...new Set(inputs.flatMap(({ dtypes }) => dtypes))].join(', ').toLowerCase()}, ${counts.length === 1 ? plural(counts[0]!, 'tensor') : `${Math.min(...counts)} to ${Math.max(...counts)} tensors`} each`,
        room,
      ),
    ],
    [
      'output',
      `${formatBytes(plan.writeBytes)} ${plan.outputDtype.toLowerCase()}, ${plural(tensors.length, 'tensor')}`,
    ],
  ]
  if (heads.length > 0) entries.push(['heads', `${heads.length} kept, one per task (not merged)`])
  if (weights.length > 0)
    entries.push([
      'effective',
      wrap(weights.map(({ key, least, most }) => `${key} ${weightText(least, most)}`).join('   '), room),
    ])
  if (conflicts.length > 0)
    entries.push(['conflicts', conflicts.flatMap((conflict) => conflictLines(conflict, session, room))])
  entries.push([
    'cost',
    wrap(
      `reads ${formatBytes(plan.readBytes)}, writes ${formatBytes(plan.writeBytes)}, peak memory ${formatBytes(plan.peakBytes)}, about ${formatSeconds(plan.seconds)} on ${plural(plan.threads, 'thread')}`,
      room,
    ),
  ])
  const lines = facts(entries, (label) => paint('dim', label))
  if (errors.length > 0) lines.push(`${plural(errors.length, 'conflict')} must be settled before this can run.`)
  return lines
}

const weightText = (least: number, most: number): string =>
  least === most ? formatNumber(least) : `${formatNumber(least)} to ${formatNumber(most)}`

function sizeRange(bytes: readonly number[]): string {
  const [least, most] = [Math.min(...bytes), Math.max(...bytes)].map(formatBytes)
  return least === most ? least! : `${least} to ${most}`
}

/** The values that are the same for all models, of the first merged tensor. */
function optionText(options: Readonly<Record<string, unknown>> = {}): string {
  const parts = Object.entries(options).flatMap(([key, value]) => {
    const values = Array.isArray(value) ? [...new Set(value)] : [value]
    return key === 'weight' || values.length !== 1 ? [] : [`${key} ${String(values[0])}`]
  })
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

function conflictLines({ severity, model, message, help, where }: Conflict, session: Session, room: number): string[] {
  const { paint } = session.stdout
  const mark =
    severity === 'error' ? paint('red', '✖') : severity === 'warning' ? paint('yellow', '⚠') : paint('dim', '·')
  const place = where === undefined ? '' : ` (${formatPlace(where)})`
  const text = `${model === undefined ? '' : `${model}: `}${message}${place}${help === undefined ? '' : ` → ${help}`}`
  return wrap(text, room - 2).map((line, i) => (i === 0 ? `${mark} ${line}` : `  ${line}`))
}

function resultLines({ folder, bytes, resumed, seconds, plan }: MergeResult, session: Session): string[] {
  const { paint, columns } = session.stdout
  const remarks = plan.conflicts.flatMap((conflict) => conflictLines(conflict, session, columns - 12))
  const entries: [string, string | string[]][] = [
    [
      'merged',
      `${plural(plan.tensors.length, 'tensor')}, ${formatBytes(bytes)}, in ${formatSeconds(seconds)}${resumed > 0 ? ` (${resumed} from an earlier run)` : ''}`,
    ],
    ...(plan.heads.length > 0
      ? [['heads', `${plan.heads.length} kept under ${folder}/heads`] as [string, string]]
      : []),
    ...(remarks.length > 0 ? [['remarks', remarks] as [string, string[]]] : []),
    ['model', folder],
    ['next', `espalier inspect ${folder}`],
  ]
  return facts(entries, (label) => paint('dim', label))
}
