/** Describes a checkpoint from its headers: architecture, labels, tensors by dtype, the largest of them. */
import { type Checkpoint, openCheckpoint } from '../../checkpoint/checkpoint.ts'
import { formatBytes, formatCount, plural } from '../format.ts'
import type { Session } from '../session.ts'
import { facts, table } from '../table.ts'
import { printable } from '../text-width.ts'

const shownTensors = 5

export async function inspectCheckpoint(path: string, session: Session): Promise<void> {
  const checkpoint = await openCheckpoint(path, session.run)
  try {
    session.settle()
    const description = describe(checkpoint)
    if (session.json) return await session.printJson({ kind: 'checkpoint', path, ...description })
    const { paint, columns } = session.stdout
    const { architecture, sizes, labels, dtypes, largest, parameters, bytes, files } = description
    const stated = Object.entries(sizes)
      .map(([name, size]) => `${name} ${formatCount(size)}`)
      .join(', ')
    const entries: [string, string | string[]][] = [
      ['checkpoint', `${path}  ${formatBytes(bytes)}${files > 1 ? ` in ${files} shards` : ''}`],
      ...(architecture === undefined ? [] : [['model', architecture] as [string, string]]),
      ...(stated === '' ? [] : [['sizes', stated] as [string, string]]),
      ...(labels === undefined ? [] : [['labels', labels.map(printable).join(', ')] as [string, string]]),
      ['parameters', formatCount(parameters)],
      ['dtypes', Object.entries(dtypes).map(([dtype, count]) => `${dtype}  ${plural(count, 'tensor')}`)],
      [
        'largest',
        table(
          [{ flexible: true }, {}, {}, { align: 'right' }],
          largest.map(({ name, dtype, shape, bytes }) => [name, dtype, shape.join(' × '), formatBytes(bytes)]),
          columns - 12,
        ),
      ],
    ]
    await session.print(...facts(entries, (name) => paint('dim', name), columns))
  } finally {
    await checkpoint.close()
  }
}

interface Description {
  architecture?: string
  sizes: Record<string, number>
  labels?: string[]
  files: number
  tensors: number
  parameters: number
  bytes: number
  dtypes: Record<string, number>
  largest: { name: string; dtype: string; shape: readonly number[]; bytes: number }[]
}

function describe({ config, tensors, files }: Checkpoint): Description {
  const infos = [...tensors.values()]
  const dtypes: Record<string, number> = {}
  for (const { dtype } of infos) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1
  const largest = [...infos].sort((a, b) => b.bytes - a.bytes).slice(0, shownTensors)
  const architectures = Array.isArray(config['architectures']) ? config['architectures'].join(', ') : undefined
  const architecture = [config['model_type'], architectures].filter((part) => part !== undefined).join(' · ')
  const labels = labelsOf(config['id2label'])
  return {
    ...(architecture === '' ? {} : { architecture }),
    sizes: sizesOf(config),
    ...(labels === undefined ? {} : { labels }),
    files: files.length,
    tensors: infos.length,
    parameters: infos.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    bytes: infos.reduce((sum, info) => sum + info.bytes, 0),
    dtypes,
    largest: largest.map(({ name, dtype, shape, bytes }) => ({ name, dtype, shape, bytes })),
  }
}

const sizeKeys: Record<string, readonly string[]> = {
  layers: ['num_hidden_layers', 'n_layers'],
  'hidden size': ['hidden_size', 'dim'],
  heads: ['num_attention_heads', 'n_heads'],
  vocabulary: ['vocab_size'],
  positions: ['max_position_embeddings'],
}

/** The sizes of a transformer that its config states; families name them differently. */
function sizesOf(config: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(sizeKeys).flatMap(([label, keys]) => {
      const value = keys.map((key) => config[key]).find((found) => typeof found === 'number')
      return value === undefined ? [] : [[label, value as number]]
    }),
  )
}

function labelsOf(id2label: unknown): string[] | undefined {
  if (typeof id2label !== 'object' || id2label === null) return undefined
  return Object.values(id2label).map(String)
}
