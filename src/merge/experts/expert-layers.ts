/** Where a checkpoint keeps its experts, by the tensor names of Mixtral and of Qwen's and OLMo's mixtures. */
import type { Checkpoint } from '../../checkpoint/checkpoint.ts'
import { InputError } from '../../util/errors.ts'

interface Naming {
  /** Matches any tensor of an expert: layer prefix, expert, part. */
  readonly pattern: RegExp
  readonly router: (layer: string) => string
  readonly expert: (layer: string, index: number, part: string) => string
  readonly inward: readonly string[]
  readonly outward: string
  /** The key of the number of experts in config.json. */
  readonly count: string
  readonly perToken: string
}

const namings: readonly Naming[] = [
  {
    pattern: /^(.*\.layers\.\d+)\.block_sparse_moe\.experts\.(\d+)\.(w1|w2|w3)\.weight$/,
    router: (layer) => `${layer}.block_sparse_moe.gate.weight`,
    expert: (layer, index, part) => `${layer}.block_sparse_moe.experts.${index}.${part}.weight`,
    inward: ['w1', 'w3'],
    outward: 'w2',
    count: 'num_local_experts',
    perToken: 'num_experts_per_tok',
  },
  {
    pattern: /^(.*\.layers\.\d+)\.mlp\.experts\.(\d+)\.(gate_proj|up_proj|down_proj)\.weight$/,
    router: (layer) => `${layer}.mlp.gate.weight`,
    expert: (layer, index, part) => `${layer}.mlp.experts.${index}.${part}.weight`,
    inward: ['gate_proj', 'up_proj'],
    outward: 'down_proj',
    count: 'num_experts',
    perToken: 'num_experts_per_tok',
  },
]

export interface ExpertLayerNames {
  /** The layer's prefix, `model.layers.0`. */
  readonly layer: string
  readonly experts: number
  readonly router: string
  inward(expert: number): readonly string[]
  outward(expert: number): string
}

export interface ExpertLayout {
  readonly layers: readonly ExpertLayerNames[]
  readonly count: string
  readonly perToken: string
}

/**
 * The layers with experts, in order.
 * @throws InputError `EXPERTS_NONE` if there are none, `EXPERTS_SHAPE` if one is incomplete or experts differ in shape or number.
 */
export function expertLayout({ tensors, folder }: Checkpoint): ExpertLayout {
  for (const naming of namings) {
    const counts = new Map<string, number>()
    for (const name of tensors.keys()) {
      const found = naming.pattern.exec(name)
      if (found) counts.set(found[1]!, Math.max(counts.get(found[1]!) ?? 0, Number(found[2]) + 1))
    }
    if (counts.size === 0) continue
    const layers = [...counts]
      .sort(([a], [b]) => Number(/\d+$/.exec(a)![0]) - Number(/\d+$/.exec(b)![0]))
      .map(([layer, experts]) => ({
        layer,
        experts,
        router: naming.router(layer),
        inward: (e: number) => naming.inward.map((part) => naming.expert(layer, e, part)),
        outward: (e: number) => naming.expert(layer, e, naming.outward),
      }))
    for (const names of layers) checkLayer(names, layers[0]!, tensors, folder)
    return { layers, count: naming.count, perToken: naming.perToken }
  }
  throw new InputError('EXPERTS_NONE', 'The checkpoint has no experts by the names of Mixtral or Qwen mixtures', {
    where: { file: folder },
    help: 'give a mixture of experts, such as Mixtral',
  })
}

function checkLayer(
  names: ExpertLayerNames,
  first: ExpertLayerNames,
  tensors: Checkpoint['tensors'],
  folder: string,
): void {
  const shapeOf = (name: string): string => {
    const info = tensors.get(name)
    if (info?.shape.length !== 2)
      throw new InputError('EXPERTS_SHAPE', info ? 'Expected a matrix' : 'A tensor of an expert is missing', {
        where: { file: folder, tensor: name },
        help: 'the checkpoint is incomplete: fetch it again',
      })
    return info.shape.join(' x ')
  }
  const expect = (tensor: string, expected: string) => {
    if (shapeOf(tensor) !== expected)
      throw new InputError('EXPERTS_SHAPE', `Expected shape ${expected}, received ${shapeOf(tensor)}`, {
        where: { file: folder, tensor },
        help: 'only experts of one shape can be merged',
      })
  }
  const [neurons, width] = tensors.get(first.inward(0)[0]!)?.shape ?? []
  if (names.experts !== first.experts)
    throw new InputError(
      'EXPERTS_SHAPE',
      `Expected ${first.experts} experts in each layer, received ${names.experts}`,
      {
        where: { file: folder, tensor: names.router },
      },
    )
  expect(names.router, `${names.experts} x ${width}`)
  for (let e = 0; e < names.experts; e++) {
    for (const name of names.inward(e)) expect(name, `${neurons} x ${width}`)
    expect(names.outward(e), `${width} x ${neurons}`)
  }
}
