/** A compiled graph: feeds in, outputs out, without copies where the runtime allows it. */
import type * as ort from 'onnxruntime-web'
import { InputError, RunError, throwIfAborted } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { type Dtype, type HostArray, hostArray } from './dtype.ts'
import type { Graph, GraphInput, Tensor } from './graph.ts'
import { encodeOnnx, type Program, program } from './onnx.ts'
import { randomByteSource } from './random-bytes.ts'
import { loadRuntime, type Runtime, type RuntimeName } from './runtime.ts'
import { evaluateShape, formatShape, type Shape } from './shape.ts'

export interface CompileOptions extends RunOptions {
  /** Default: native in Node, wasm elsewhere or where the native runtime is missing. */
  runtime?: RuntimeName
  /**
   * Threads inside one operator; default 1. In wasm the first session of the process decides. Products of narrow matrices may round differently
   * with other numbers of threads.
   */
  threads?: number
  /** Weights to store in the session instead of binding them; inference is a little faster, training needs them bound. */
  weights?: ReadonlyMap<string, HostArray>
  /** Writes a trace of every run to a file with this prefix (native runtime only). */
  profile?: string
}

export interface SessionRunOptions {
  /** Sizes of the symbolic dimensions. */
  dims?: Readonly<Record<string, number>>
  /** Buffers for outputs of this run, by output name; others are bound ones or fresh. */
  fetches?: Readonly<Record<string, HostArray>>
  /** Key of the random bytes; needed if the graph has dropout. */
  random?: { seed: number; step: number }
}

/**
 * Prepares the part of a graph that `outputs` need.
 * @example
 * const session = await compile(graph, { loss, dw: gradient })
 * session.bind({ w: weights, dw: gradientBuffer })
 * const { loss } = await session.run({ x: batch }, { dims: { B: 16 } })
 */
export async function compile(
  graph: Graph,
  outputs: Readonly<Record<string, Tensor>>,
  options: CompileOptions = {},
): Promise<Session> {
  throwIfAborted(options.signal)
  const runtime = await loadRuntime(options.runtime, options)
  const part = program(graph, outputs)
  const bytes = encodeOnnx(graph, part, options.weights)
  const threads = options.threads ?? 1
  if (runtime.name !== 'native' && runtime.ort.env.wasm.numThreads === undefined)
    runtime.ort.env.wasm.numThreads = threads
  const sessionOptions: ort.InferenceSession.SessionOptions = {
    executionProviders: runtime.name === 'native' ? ['cpu'] : runtime.name === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    // Spinning threads would burn processor time between two runs.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    ...(options.profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: options.profile }),
  }
  let session: ort.InferenceSession
  try {
    session = await runtime.ort.InferenceSession.create(bytes, sessionOptions)
  } catch (cause) {
    throw new RunError('GRAPH_COMPILE', `ONNX Runtime refused the graph: ${(cause as Error).message}`, { cause })
  }
  const stored = new Set(options.weights?.keys())
  return new Session(runtime, session, {
    ...part,
    inputs: part.inputs.filter(({ tensor }) => !stored.has(tensor.name)),
  })
}

export class Session {
  readonly runtime: RuntimeName
  private readonly ort: typeof ort
  private readonly session: ort.InferenceSession
  private readonly inputs: ReadonlyMap<string, GraphInput>
  private readonly outputs: ReadonlyMap<string, Tensor>
  private readonly boundInputs = new Map<string, ort.Tensor>()
  private readonly boundOutputs = new Map<string, HostArray>()
  private source: { seed: number; bytes: Awaited<ReturnType<typeof randomByteSource>> } | undefined

  constructor(runtime: Runtime, session: ort.InferenceSession, part: Program) {
    this.runtime = runtime.name
    this.ort = runtime.ort
    this.session = session
    this.inputs = new Map(part.inputs.map((input) => [input.tensor.name, input]))
    this.outputs = part.outputs
  }

  /** Names of what must be bound or fed. Random bytes are filled by the session itself. */
  get inputNames(): string[] {
    return [...this.inputs.values()].filter(({ kind }) => kind !== 'random').map(({ tensor }) => tensor.name)
  }

  /** Whether the session takes an input of this name; graphs leave out what their outputs do not need. */
  has(name: string): boolean {
    return this.inputs.has(name)
  }

  /**
   * Binds buffers that stay: weights (read at every run, so update them in place) and outputs of fixed shape (written at every run).
   * @throws InputError `GRAPH_NAME`, `GRAPH_SHAPE`, `GRAPH_DTYPE`
   */
  bind(buffers: Readonly<Record<string, HostArray>> | ReadonlyMap<string, HostArray>): void {
    for (const [name, data] of buffers instanceof Map ? buffers : Object.entries(buffers)) {
      const input = this.inputs.get(name)
      const output = this.outputs.get(name)
      if (input) this.boundInputs.set(name, this.wrap(name, input.tensor, data, {}))
      else if (output) {
        this.wrap(name, output, data, {})
        this.boundOutputs.set(name, data)
      } else throw unknownName(name, [...this.inputNames, ...this.outputs.keys()])
    }
  }

  /**
   * Runs the graph. In Node the calling thread is busy until it returns: long work belongs in a worker thread.
   * @param feeds arrays by input name; lengths must fit the shapes at the given sizes.
   * @returns arrays by output name: the caller's buffers where given or bound, else fresh ones.
   */
  async run(
    feeds: Readonly<Record<string, HostArray>> = {},
    { dims = {}, fetches = {}, random }: SessionRunOptions = {},
  ): Promise<Record<string, HostArray>> {
    const given: Record<string, ort.Tensor> = {}
    for (const name of Object.keys(feeds)) if (!this.inputs.has(name)) throw unknownName(name, this.inputNames)
    for (const [name, { tensor, kind }] of this.inputs) {
      const feed = feeds[name]
      if (feed) given[name] = this.wrap(name, tensor, feed, dims)
      else if (kind === 'random') given[name] = await this.randomInput(tensor, dims, random)
      else if (this.boundInputs.has(name)) given[name] = this.boundInputs.get(name)!
      else
        throw new InputError('GRAPH_FEED', `Input ${name} ${formatShape(tensor.shape)} is neither fed nor bound`, {
          where: { tensor: name },
        })
    }
    const asked: Record<string, ort.Tensor | null> = {}
    const buffers = new Map<string, HostArray>()
    for (const [name, tensor] of this.outputs) {
      const buffer = fetches[name] ?? this.boundOutputs.get(name)
      if (buffer) buffers.set(name, buffer)
      // The wasm runtime does not write into given tensors: it copies out of its own memory below.
      asked[name] = buffer && this.runtime === 'native' ? this.wrap(name, tensor, buffer, dims) : null
    }
    const results = await this.session.run(given, asked)
    const out: Record<string, HostArray> = {}
    for (const name of this.outputs.keys()) {
      const data = results[name]!.data as HostArray
      const buffer = buffers.get(name)
      if (buffer && buffer !== data) (buffer as Uint8Array).set(data as Uint8Array)
      out[name] = buffer ?? data
    }
    return out
  }

  async close(): Promise<void> {
    await this.session.release()
  }

  private wrap(name: string, tensor: Tensor, data: HostArray, dims: Readonly<Record<string, number>>): ort.Tensor {
    const shape = evaluateShape(tensor.shape, dims)
    checkArray(name, tensor.dtype, tensor.shape, shape, data)
    return new this.ort.Tensor(tensor.dtype as 'float32', data as Float32Array, shape)
  }

  private async randomInput(
    tensor: Tensor,
    dims: Readonly<Record<string, number>>,
    random: SessionRunOptions['random'],
  ): Promise<ort.Tensor> {
    if (!random)
      throw new InputError('GRAPH_RANDOM', 'The graph has dropout, so run needs a seed and a step', {
        help: 'pass random: { seed, step }',
      })
    if (this.source?.seed !== random.seed)
      this.source = { seed: random.seed, bytes: await randomByteSource(random.seed) }
    const shape = evaluateShape(tensor.shape, dims)
    const length = shape.reduce((product, size) => product * size, 1)
    return new this.ort.Tensor('uint8', await this.source.bytes(length, random.step, tensor.name), shape)
  }
}

function checkArray(name: string, dtype: Dtype, symbolic: Shape, shape: readonly number[], data: HostArray): void {
  const expected = hostArray(dtype, 0).constructor.name
  if (data.constructor.name !== expected)
    throw new InputError(
      'GRAPH_DTYPE',
      `${name} expected a ${expected} (${dtype}), received a ${data.constructor.name}`,
      {
        where: { tensor: name },
      },
    )
  const length = shape.reduce((product, size) => product * size, 1)
  if (data.length !== length)
    throw new InputError(
      'GRAPH_SHAPE',
      `${name} expected ${length} values for ${formatShape(symbolic)} = ${formatShape(shape)}, received ${data.length}`,
      { where: { tensor: name } },
    )
}

function unknownName(name: string, known: readonly string[]): InputError {
  return new InputError('GRAPH_NAME', `The session has no input or output named ${name}`, {
    where: { tensor: name },
    help: `it has ${known.slice(0, 8).join(', ')}${known.length > 8 ? ', ...' : ''}`,
  })
}
