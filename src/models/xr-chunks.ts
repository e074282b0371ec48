/** Where the chunks of an `xr-linear` model come from: memory, or ranges of a file that are read when a search first needs them. */
import { closeSync, openSync, readSync } from 'node:fs'
import { InputError, RunError, systemError } from '../util/errors.ts'
import { chunkBytes, chunkFault, viewChunk, type XrChunk, type XrChunkSize } from './xr-chunk.ts'
import { childCount, nodeCount, type XrTree } from './xr-tree.ts'

export interface XrChunks {
  chunk(node: number): XrChunk
  /** The chunk's bytes, for copying. */
  bytes(node: number): Uint8Array
  close(): void
}

/** Features and entries of each node's chunk. */
export interface XrChunkSizes {
  readonly features: Uint32Array
  readonly entries: Uint32Array
}

const sizeOf = (tree: XrTree, sizes: XrChunkSizes, node: number): XrChunkSize => ({
  features: sizes.features[node]!,
  entries: sizes.entries[node]!,
  children: childCount(tree, node),
})

/** Where each chunk begins in the row of all chunks, and the length of the row. */
export function chunkOffsets(tree: XrTree, sizes: XrChunkSizes): Float64Array {
  const offsets = new Float64Array(nodeCount(tree) + 1)
  for (let node = 0; node < nodeCount(tree); node++)
    offsets[node + 1] = offsets[node]! + chunkBytes(sizeOf(tree, sizes, node))
  return offsets
}

/** Chunks that are all in memory, one byte array a node. */
export function chunksInMemory(tree: XrTree, sizes: XrChunkSizes, bytes: readonly Uint8Array[]): XrChunks {
  const views: XrChunk[] = []
  return {
    chunk: (node) => (views[node] ??= viewChunk(bytes[node]!, sizeOf(tree, sizes, node))),
    bytes: (node) => bytes[node]!,
    close: () => undefined,
  }
}

/** Bytes of chunks kept for the next search. The operating system keeps the file's pages beside. */
const keptBytes = 256 * 2 ** 20

/**
 * Chunks in a file from `start` on. Each is read in one piece when it is first needed and checked; the ones used least recently make way.
 * @param columns features of the whole model.
 */
export function chunksInFile(
  file: string,
  start: number,
  tree: XrTree,
  sizes: XrChunkSizes,
  columns: number,
): XrChunks {
  const offsets = chunkOffsets(tree, sizes)
  const handle = openSync(file, 'r')
  const kept = new Map<number, XrChunk>()
  let used = 0
  const bytes = (node: number): Uint8Array => {
    const target = new Uint8Array(offsets[node + 1]! - offsets[node]!)
    for (let done = 0; done < target.length; ) {
      const read = readPart(handle, target, done, start + offsets[node]! + done)
      if (read === 0)
        throw new InputError('XR_TENSORS', 'The model file ends within a node', {
          where: { file, tensor: weightsTensor },
          help: 'the file was changed while it was in use: fetch it again or train the model again',
        })
      done += read
    }
    return target
  }
  return {
    bytes,
    chunk(node) {
      const found = kept.get(node)
      if (found) {
        if (used > keptBytes / 2) {
          kept.delete(node) // to the young end
          kept.set(node, found)
        }
        return found
      }
      const size = sizeOf(tree, sizes, node)
      const chunk = viewChunk(bytes(node), size)
      const fault = chunkFault(chunk, size, columns)
      if (fault !== undefined)
        throw new InputError('XR_TENSORS', fault, {
          where: { file, tensor: weightsTensor },
          help: 'the file is damaged: train the model again or fetch it again',
          data: { node },
        })
      kept.set(node, chunk)
      used += chunkBytes(size)
      for (const old of kept.keys()) {
        if (used <= keptBytes || old === node) break
        kept.delete(old)
        used -= chunkBytes(sizeOf(tree, sizes, old))
      }
      return chunk
    },
    close() {
      kept.clear()
      closeSync(handle)
    },
  }
}

/** The tensor that holds all chunks, one after the other. */
export const weightsTensor = 'nodes.weights'

function readPart(handle: number, target: Uint8Array, at: number, position: number): number {
  try {
    return readSync(handle, target, at, target.length - at, position)
  } catch (error) {
    throw systemError(error) ?? new RunError('XR_READ', 'The model file could not be read', { cause: error })
  }
}
