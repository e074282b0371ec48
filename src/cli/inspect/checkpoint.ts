/** Describes a checkpoint, a safetensors file or a LoRA adapter from its headers: architecture, labels, dtypes, files, the first tensors. */
import { type Inspection, inspectPath } from '../../checkpoint/inspect.ts'
import { formatBytes, formatCount, formatNumber, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts, table } from '../table.ts'
import { printable } from '../text-width.ts'

const shownTensors = 6
const shownFiles = 4

export async function inspectCheckpoint(path: string, session: Session): Promise<void> {
  const inspection = await inspectPath(path, session.run)
  session.settle()
  if (session.json) return session.printJson(inspection)
  const { paint, columns } = session.stdout
  await session.print(...facts(entriesOf(inspection, columns), (name) => paint('dim', name), columns))
}

type Entry = [name: string, value: string | string[]]

function entriesOf(inspection: Inspection, columns: number): Entry[] {
  const { kind, path, bytes, tensors, parameters, dtypes, files, rows } = inspection
  const listed = files
    .slice(0, shownFiles)
    .map(({ file, bytes, tensors }) => `${file}  ${formatBytes(bytes)}  ${plural(tensors, 'tensor')}`)
  if (files.length > listed.length) listed.push(`and ${files.length - listed.length} more`)
  const first = table(
    [{ flexible: true }, {}, {}, { align: 'right' }],
    rows
      .slice(0, shownTensors)
      .map(({ name, dtype, shape, bytes }) => [printable(name), dtype, shape.join(' × '), formatBytes(bytes)]),
    columns - 12,
  )
  if (tensors > shownTensors) first.push(`and ${formatCount(tensors - shownTensors)} more`)
  return [
    [kind, `${path}  ${formatBytes(bytes)}`],
    ...modelEntries(inspection),
    ...adapterEntries(inspection),
    ['parameters', formatCount(parameters)],
    [
      'dtypes',
      dtypes.map(({ dtype, tensors, bytes }) => `${dtype}  ${plural(tensors, 'tensor')}, ${formatBytes(bytes)}`),
    ],
    ['files', listed],
    ['tensors', first],
  ]
}

function modelEntries({ model }: Inspection): Entry[] {
  if (!model) return []
  const { architecture, modelType, layers, labels, companions } = model
  const stated = [modelType ?? '', architecture ?? '', layers === undefined ? '' : plural(layers, 'layer')]
  return [
    ['model', stated.filter(Boolean).join(' · ')],
    ...(labels ? [['labels', `${plural(labels.length, 'label')}: ${labels.map(printable).join(', ')}`] as Entry] : []),
    ...(companions.length > 0 ? [['beside it', companions.join(', ')] as Entry] : []),
  ]
}

function adapterEntries({ adapter }: Inspection): Entry[] {
  if (!adapter) return []
  const { baseModel, rank, alpha, scales, modules, targetModules } = adapter
  return [
    ...(baseModel === undefined ? [] : [['base', printable(baseModel)] as Entry]),
    ['rank', `${rank}, alpha ${formatNumber(alpha)}, scale ${scales.map(formatNumber).join(', ')}`],
    ['changes', `${plural(modules, 'module')}: ${[targetModules].flat().map(printable).join(', ')}`],
  ]
}
