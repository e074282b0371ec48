/** The nodes of a tree shared out among threads in parts of about equal work; finished parts are kept in the work folder. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { chunkBytes } from '../../models/xr-chunk.ts'
import { Arena } from '../../tensor/kernels/arena.ts'
import { writeFileAtomic } from '../../util/atomic.ts'
import { throwIfAborted } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import type { LinearMatrix } from '../linear-features.ts'
import { type NodeProblem, NodeSolver, type NodeSpace, type TrainedNode } from './node-solver.ts'

/** Nodes first..end-1, a part of one stage of the training. */
export interface NodePart {
  readonly name: string
  readonly nodes: Uint32Array
}

export interface PartsJob {
  readonly memory: WebAssembly.Memory
  readonly matrix: LinearMatrix
  readonly space: NodeSpace
  readonly problem: NodeProblem
  readonly parts: readonly NodePart[]
  /** Rows that the levels above would wrongly send to a node: rows[offsets[n]..offsets[n+1]). Undefined: none. */
  readonly strangers: { readonly offsets: Uint32Array; readonly rows: Uint32Array } | undefined
  /** One shared integer: the next part to take. */
  readonly next: Int32Array
  readonly workFolder: string | undefined
}

export async function solveParts(job: PartsJob, { signal, onProgress }: RunOptions): Promise<TrainedNode[]> {
  const solver = await NodeSolver.create(new Arena(job.memory), job.matrix, job.space, job.problem)
  const solved: TrainedNode[] = []
  while (true) {
    const part = job.parts[Atomics.add(job.next, 0, 1)]
    if (!part) return solved
    const file = job.workFolder === undefined ? undefined : join(job.workFolder, `nodes-${part.name}.bin`)
    const kept = file && decodeNodes(await readFile(file).catch(() => new Uint8Array()), part.nodes)
    if (kept) solved.push(...kept)
    else {
      const fresh: TrainedNode[] = []
      for (const node of part.nodes) {
        const { strangers } = job
        fresh.push(solver.solve(node, strangers?.rows.subarray(strangers.offsets[node]!, strangers.offsets[node + 1]!)))
      }
      if (file) await writeFileAtomic(file, encodeNodes(fresh))
      solved.push(...fresh)
    }
    onProgress?.({ step: 'train', done: part.nodes.length })
    await setImmediate()
    throwIfAborted(signal)
  }
}

/** Cuts nodes into about `count` parts of equal work, in order. */
export function cutParts(
  name: string,
  nodes: readonly number[],
  work: (node: number) => number,
  count: number,
): NodePart[] {
  const total = nodes.reduce((sum, node) => sum + work(node), 0)
  const parts: NodePart[] = []
  let own: number[] = []
  let sum = 0
  for (const node of nodes) {
    own.push(node)
    sum += work(node)
    if (sum < total / count) continue
    parts.push({ name: `${name}-${parts.length}`, nodes: Uint32Array.from(own) })
    own = []
    sum = 0
  }
  if (own.length > 0) parts.push({ name: `${name}-${parts.length}`, nodes: Uint32Array.from(own) })
  return parts
}

/** Per node: its number, features, entries and children (u32), scales and biases (f32), then its chunk; a length and a check word before all. */
function encodeNodes(nodes: readonly TrainedNode[]): Uint8Array {
  const length = 8 + nodes.reduce((sum, { bytes, scales }) => sum + 16 + scales.length * 8 + bytes.length, 0)
  const all = new Uint8Array(length)
  new Uint32Array(all.buffer, 0, 2).set([checkWord, length])
  let at = 8
  for (const { node, size, bytes, scales, biases } of nodes) {
    new Uint32Array(all.buffer, at, 4).set([node, size.features, size.entries, size.children])
    new Float32Array(all.buffer, at + 16, scales.length).set(scales)
    new Float32Array(all.buffer, at + 16 + scales.length * 4, scales.length).set(biases)
    at += 16 + scales.length * 8
    all.set(bytes, at)
    at += bytes.length
  }
  return all
}

const checkWord = 0x78723031

/** The nodes that `encodeNodes` wrote, or undefined if the bytes are not those of just these nodes. */
function decodeNodes(file: Uint8Array, nodes: Uint32Array): TrainedNode[] | undefined {
  if (file.length < 8) return undefined
  const { buffer } = new Uint8Array(file)
  const [word, length] = new Uint32Array(buffer, 0, 2) as unknown as [number, number]
  if (word !== checkWord || length !== file.length) return undefined
  const found: TrainedNode[] = []
  for (let at = 8; at < length; ) {
    if (at + 16 > length) return undefined
    const [node, features, entries, children] = new Uint32Array(buffer, at, 4) as unknown as [
      number,
      number,
      number,
      number,
    ]
    const size = { features, entries, children }
    const bytes = chunkBytes(size)
    at += 16
    if (at + children * 8 + bytes > length) return undefined
    found.push({
      node,
      size,
      scales: new Float32Array(buffer, at, children),
      biases: new Float32Array(buffer, at + children * 4, children),
      bytes: new Uint8Array(buffer, at + children * 8, bytes),
    })
    at += children * 8 + bytes
  }
  return found.length === nodes.length && found.every(({ node }, i) => node === nodes[i]) ? found : undefined
}
