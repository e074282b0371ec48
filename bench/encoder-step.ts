/**
 * Processor time of one training step and one forward pass of a BERT classifier, beside PyTorch + transformers at the same shapes, threads and
 * settings: alternating runs, medians. Writes docs/results/encoder-step.md.
 *
 *     npx tsx bench/encoder-step.ts [--shapes 4x256,6x384,12x768] [--threads 1,2] [--repeats 5] [--dropout 0.1] [--out docs/results/encoder-step.md]
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { encoderModel, initialWeights, openEncoder, readEncoderConfig } from '../dist/models/index.js'
import { adamWDefaults } from '../dist/train/adamw.js'
import { simdAdamW } from '../dist/train/adamw-kernel.js'
import { packTokens } from '../dist/train/batches.js'
import { objective } from '../dist/train/objectives/index.js'
import { Optimizer } from '../dist/train/optimizer.js'
import { parameterRules } from '../dist/train/parameter-rules.js'
import { TrainingStep } from '../dist/train/training-step.js'

const { values: flags } = parseArgs({
  options: {
    shapes: { type: 'string', default: '4x256,6x384,12x768' },
    threads: { type: 'string', default: '1,2' },
    repeats: { type: 'string', default: '5' },
    dropout: { type: 'string', default: '0.1' },
    out: { type: 'string', default: 'docs/results/encoder-step.md' },
  },
})
const repeats = Number(flags.repeats)
const batch = 16
const length = 128
const units = 150
const vocabulary = 30522
const learningRate = 1e-5
const clip = 1

/** What is timed. `train`: forward, backward, clipping and AdamW. `logits`: the classifier. `hidden`: the last states of every token. */
const works = ['train', 'logits', 'hidden'] as const
type Work = (typeof works)[number]

interface Setting {
  layers: number
  hidden: number
  heads: number
  threads: number
}

interface Times {
  cpu: number
  wall: number
}

interface Rival {
  run(work: Work): Promise<Times>
  close(): Promise<void>
}

async function espalier({ layers, hidden, heads, threads }: Setting): Promise<Rival> {
  const dropout = Number(flags.dropout)
  const config = readEncoderConfig({
    model_type: 'bert',
    vocab_size: vocabulary,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: 4 * hidden,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
  })
  const model = encoderModel(config, { units })
  const weights = initialWeights(model, 0)
  const rules = parameterRules(model.parameters, [], (name) => name.startsWith('classifier'), 1)
  const tensors = model.parameters.map(({ name, shape, lookup }) => ({
    name,
    lookup,
    weights: weights.get(name)!,
    decays: rules.get(name)!.decays,
    rate: 1,
    width: shape.at(-1)!,
  }))
  const dense = tensors.filter(({ lookup }) => !lookup)
  const kernel = await simdAdamW(dense.map((tensor) => tensor.weights.length))
  const optimizer = new Optimizer(
    dense,
    tensors.filter(({ lookup }) => lookup),
    kernel,
    adamWDefaults,
  )
  const texts = Array.from({ length: batch }, (_, b) =>
    Int32Array.from({ length }, (_, s) => 1 + ((b * 7919 + s * 104729) % (vocabulary - 1))),
  )
  const one = Uint32Array.from({ length: batch + 1 }, (_, i) => i)
  const rows = one.slice(0, batch)
  const step = await TrainingStep.create(
    {
      model,
      weights,
      rules,
      layout: {
        activation: 'softmax',
        unitNodes: Int32Array.from({ length: units }, (_, i) => i),
        groups: [{ parent: -1, start: 0, end: units }],
      },
      objective: objective(),
      loss: { labelSmoothing: 0 },
      rows: packTokens(texts),
      targets: {
        groupOffsets: one,
        activeGroups: new Uint32Array(batch),
        unitOffsets: one,
        rightUnits: rows.map((i) => (i * 7) % units),
      },
      microBatchSize: batch,
      seed: 0,
      threads,
    },
    optimizer,
  )
  const encoders = {
    logits: await openEncoder(model, weights, 'logits', { threads }),
    hidden: await openEncoder(model, weights, 'hidden', { threads }),
  }
  return {
    async run(work) {
      const cpu = process.cpuUsage()
      const start = performance.now()
      if (work === 'train') await step.run(rows, learningRate, clip)
      else await encoders[work].run(texts, { batchSize: batch })
      const wall = performance.now() - start
      const { user, system } = process.cpuUsage(cpu)
      return { cpu: (user + system) / 1000, wall }
    },
    async close() {
      await step.close()
      for (const encoder of Object.values(encoders)) await encoder.close()
    },
  }
}

let versions = ''

async function pytorch(setting: Setting): Promise<Rival> {
  const child = spawn('bench/peers/venv/bin/python', ['bench/peers/encoder_step.py'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Waiting threads sleep, as ours do: spinning would count as its processor time, most of all beside other work.
    env: { ...process.env, OMP_NUM_THREADS: String(setting.threads), OMP_WAIT_POLICY: 'PASSIVE' },
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  async function ask<T>(request: object): Promise<T> {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await lines.next()
    if (done) throw new Error('the PyTorch process ended: run bench/peers/setup.sh')
    return JSON.parse(value) as T
  }
  const made = await ask<{ torch: string; transformers: string }>({
    ...setting,
    vocabulary,
    batch,
    length,
    units,
    clip,
    learningRate,
    dropout: Number(flags.dropout),
  })
  versions = `PyTorch ${made.torch}, transformers ${made.transformers}`
  return {
    run: (work) => ask<Times>({ run: work }),
    async close() {
      child.stdin.end()
      await new Promise((resolve) => child.once('exit', resolve))
    },
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2
}

const table: string[] = []
const load = loadavg()[0]!
const started = new Date()
for (const shape of flags.shapes.split(','))
  for (const threads of flags.threads.split(',').map(Number)) {
    const [layers, hidden] = shape.split('x').map(Number) as [number, number]
    const setting = { layers, hidden, heads: hidden / (hidden < 768 ? 32 : 64), threads }
    const ours = await espalier(setting)
    const theirs = await pytorch(setting)
    for (const work of works) {
      const pairs: { ours: Times; theirs: Times }[] = []
      // The first pair warms up. Who goes first changes from pair to pair.
      for (let i = 0; i <= repeats; i++) {
        const first = i % 2 === 0 ? ours : theirs
        const second = first === ours ? theirs : ours
        const [a, b] = [await first.run(work), await second.run(work)]
        if (i > 0) pairs.push(first === ours ? { ours: a, theirs: b } : { ours: b, theirs: a })
      }
      const of = (who: 'ours' | 'theirs', key: keyof Times) => median(pairs.map((pair) => pair[who][key]))
      const ratios = pairs.map((pair) => pair.ours.cpu / pair.theirs.cpu)
      const row = [
        shape,
        threads,
        work,
        of('ours', 'cpu').toFixed(0),
        of('theirs', 'cpu').toFixed(0),
        `**${(of('ours', 'cpu') / of('theirs', 'cpu')).toFixed(2)}**`,
        `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`,
        of('ours', 'wall').toFixed(0),
        of('theirs', 'wall').toFixed(0),
      ]
      table.push(`| ${row.join(' | ')} |`)
      console.error(row.join('  '))
    }
    await ours.close()
    await theirs.close()
    await mkdir(dirname(flags.out), { recursive: true })
    await writeFile(flags.out, page())
  }
console.log(page())

function page(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()
  return `# Training step and forward pass of an encoder, beside PyTorch

Written by \`npx tsx bench/encoder-step.ts ${process.argv.slice(2).join(' ')}\` on ${started.toISOString().slice(0, 10)}, commit ${git('rev-parse', '--short', 'HEAD')}.

BERT classifier with ${units} outputs, vocabulary ${vocabulary}, batch ${batch} x ${length} tokens without padding, float32, seed 0, dropout ${flags.dropout}. ${versions} (SDPA attention,
fused AdamW, inference mode for forward passes, OMP_WAIT_POLICY=PASSIVE so that waiting threads sleep as ours do). Times in milliseconds: medians of ${repeats} alternating pairs after one to warm up; processor time is user + system of the process.

| layers x hidden | threads | work | ours, processor | PyTorch, processor | ratio | smallest-largest ratio | ours, wall | PyTorch, wall |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${table.join('\n')}

- \`train\`: forward, backward, clipping by the global norm and AdamW with decay. \`logits\`: the classifier's forward pass. \`hidden\`: the last hidden states of every token.
- The classifier reads the first token alone, so our last layer computes that token's query, output and feed-forward part only; results and gradients are
  the same. PyTorch computes the layer in full. The \`hidden\` rows show the engine without this saving.
- The token table stays outside our graph and its optimiser touches the rows of the batch; PyTorch updates the whole table.

Machine: ${cpus().length} x ${cpus()[0]!.model.trim()}, Node ${process.versions.node}. Load before the runs: ${load.toFixed(1)}${load > 1 ? '; other work ran beside them: wall times say little, and processor times are inflated on both sides' : ''}.
`
}
