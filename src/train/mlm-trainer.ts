/**
 * The loop of masked language modelling: epochs of batches with masks that are drawn anew for every epoch, the held-out loss after each, saved
 * states, and a result that does not depend on how often the run was interrupted.
 */
import { join } from 'node:path'
import { compile, Graph, gradients, type Session } from '../graph/index.ts'
import { type MaskedLanguageModel, maskedFeeds, maskedLanguageModel } from '../models/masked-language-model.ts'
import { encoderThreads } from '../models/threads.ts'
import { tokenBatch } from '../models/token-batch.ts'
import { initialWeight } from '../models/weights.ts'
import { InputError, InterruptedError, RunError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { adamWDefaults } from './adamw.ts'
import { simdAdamW } from './adamw-kernel.ts'
import { batchCount, batchTokens, epochBatches, rowCount, type TokenRows } from './batches.ts'
import { type MaskOptions, maskTokens } from './mask-tokens.ts'
import { checkMlmJob, type MlmJob, type MlmResult } from './mlm-job.ts'
import { Optimizer } from './optimizer.ts'
import { parameterRules } from './parameter-rules.ts'
import { learningRateFactor } from './schedule.ts'
import { appendTrainLog, readTrainLog, rewindTrainLog, type TrainLogEntry } from './train-log.ts'
import {
  fingerprintOf,
  hasTrainingState,
  loadTrainingState,
  logFile,
  openWorkFolder,
  saveTrainingState,
} from './training-state.ts'

const logEvery = 50
/** The masks of the dev rows have a key of their own in place of an epoch. */
const devMasks = -1

/** Runs a job to its end. See `trainMaskedLanguageModel`. */
export async function runMlmJob(job: MlmJob, run: RunOptions = {}): Promise<MlmResult> {
  checkMlmJob(job)
  const trainer = await MlmTrainer.create(job, run)
  try {
    return await trainer.train()
  } finally {
    await trainer.close()
  }
}

interface Parts {
  readonly job: MlmJob
  readonly run: RunOptions
  readonly model: MaskedLanguageModel
  readonly weights: Map<string, Float32Array>
  readonly gradients: ReadonlyMap<string, Float32Array>
  readonly optimizer: Optimizer
  readonly training: Session
  readonly scoring: Session
}

class MlmTrainer {
  readonly #parts: Parts
  readonly #epochSteps: number
  readonly #steps: number
  readonly #masks: MaskOptions
  readonly #fingerprint: string
  readonly #started = performance.now()
  #earlier = 0
  #step = 0
  #sum = { steps: 0, loss: 0, norm: 0 }
  #history: TrainLogEntry[] = []
  #saved = performance.now()

  private constructor(parts: Parts) {
    const { config, maskId, special, train, dev, options } = parts.job
    this.#parts = parts
    this.#epochSteps = batchCount(rowCount(train), options.batchSize)
    this.#steps = options.epochs * this.#epochSteps
    this.#masks = {
      share: options.maskShare,
      maskId,
      vocabularySize: config.vocabularySize,
      special: new Set(special),
    }
    const { saveMinutes: _, ...rest } = options
    const asked = JSON.stringify({ config, maskId, special, rest })
    this.#fingerprint = fingerprintOf(asked, train.offsets, train.tokens, dev.offsets, dev.tokens)
  }

  static async create(job: MlmJob, run: RunOptions): Promise<MlmTrainer> {
    const { config, options } = job
    const model = maskedLanguageModel(config)
    const weights = new Map(
      model.parameters.map((spec) => [spec.name, initialWeight(model.encoder, spec, options.seed)]),
    )
    const rules = parameterRules(model.parameters, [], () => false, 1)
    const kernel = await simdAdamW(model.parameters.map(({ name }) => weights.get(name)!.length))
    const tensors = model.parameters.map(({ name }) => {
      const { decays, rate } = rules.get(name)!
      return { name, weights: weights.get(name)!, decays, rate }
    })
    const optimizer = new Optimizer(tensors, [], kernel, { ...adamWDefaults, weightDecay: options.weightDecay })
    const buffers = new Map([...weights].map(([name, { length }]) => [name, new Float32Array(length)]))
    const threads = encoderThreads(config, options.threads)
    const graph = new Graph()
    const built = model.build(graph, { dropout: true })
    const names = [...built.parameters.keys()]
    const found = gradients(built.loss, [...built.parameters.values()])
    const outputs = { loss: built.loss, ...Object.fromEntries(names.map((name, i) => [`gradient ${name}`, found[i]!])) }
    const training = await compile(graph, outputs, { ...run, threads })
    training.bind(weights)
    training.bind(new Map([...buffers].map(([name, buffer]) => [`gradient ${name}`, buffer])))
    const plain = new Graph()
    const scoring = await compile(plain, { loss: model.build(plain).loss }, { ...run, threads })
    scoring.bind(weights)
    const trainer = new MlmTrainer({ job, run, model, weights, gradients: buffers, optimizer, training, scoring })
    if (job.workFolder !== undefined) await trainer.#open(job.workFolder)
    return trainer
  }

  async close(): Promise<void> {
    await this.#parts.training.close()
    await this.#parts.scoring.close()
  }

  async #open(folder: string): Promise<void> {
    await openWorkFolder(folder)
    const found = await hasTrainingState(folder)
    if (found && !this.#parts.job.resume)
      throw new InputError('RUN_UNFINISHED', 'The folder holds an unfinished training run', {
        where: { file: folder },
        help: 'continue it with --resume, or start anew with --force',
      })
    if (found) {
      const { position, weights, optimizer } = await loadTrainingState(folder, this.#fingerprint)
      this.#step = position.step
      this.#earlier = position.seconds
      this.#sum = { ...position.since }
      for (const [name, values] of weights) this.#parts.weights.get(name)!.set(values)
      this.#parts.optimizer.restore(optimizer)
    }
    const log = join(folder, logFile)
    await rewindTrainLog(log, found ? this.#step : -1)
    this.#history = await readTrainLog(log)
  }

  async train(): Promise<MlmResult> {
    const { train, options } = this.#parts.job
    let batches: Uint32Array[] = []
    let epoch = -1
    while (this.#step < this.#steps) {
      const at = Math.floor(this.#step / this.#epochSteps)
      if (at !== epoch) {
        epoch = at
        batches = epochBatches(train, options.batchSize, options.seed, epoch)
      }
      await this.#update(batches[this.#step % this.#epochSteps]!, epoch)
      if (this.#step % this.#epochSteps === 0) await this.#evaluate()
      // The thread is free for a moment: an abort is seen here.
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#step < this.#steps) await this.#pauseIfAsked()
    }
    return { weights: this.#parts.weights, history: this.#history, steps: this.#step }
  }

  /** The feeds of some rows, and how many tokens they ask for. */
  #feeds(rows: TokenRows, batch: Uint32Array, epoch: number) {
    const { config, options } = this.#parts.job
    const masked = batchTokens(rows, batch).map((tokens, i) =>
      maskTokens(tokens, this.#masks, options.seed, epoch, batch[i]!),
    )
    const { B, S, ids, mask } = tokenBatch(
      masked.map(({ tokens }) => tokens),
      { config, prefix: 0 },
    )
    const places = masked.flatMap(({ places }, row) => Array.from(places, (place) => row * S + place))
    const answers = masked.flatMap(({ answers }) => [...answers])
    const feeds = {
      ...maskedFeeds(places, answers, config.vocabularySize),
      input_ids: BigInt64Array.from(ids, (id) => BigInt(id < 0 ? config.padTokenId : id)),
      attention_mask: BigInt64Array.from(mask, BigInt),
    }
    return { feeds, dims: { B, S, M: places.length } }
  }

  async #update(batch: Uint32Array, epoch: number): Promise<void> {
    const { job, run, training, optimizer } = this.#parts
    const { options, train } = job
    const number = this.#step + 1
    const factor = learningRateFactor({ name: 'linear', warmUp: options.warmUp }, number, this.#steps)
    const rate = options.learningRate * factor
    const { feeds, dims } = this.#feeds(train, batch, epoch)
    if (dims.M > 0) {
      const result = await training.run(feeds, { dims, random: { seed: options.seed, step: number } })
      const loss = (result['loss'] as Float32Array)[0]!
      const norm = Number.isFinite(loss)
        ? optimizer.update(this.#parts.gradients, new Map(), rate, options.clip)
        : Number.NaN
      if (!Number.isFinite(norm))
        throw new RunError('LOSS_NOT_FINITE', `The loss or its gradient is not a finite number at step ${number}`, {
          help: `try a lower learning rate, such as ${(options.learningRate / 3).toPrecision(1)}; nothing was overwritten`,
          data: { step: number, learningRate: rate, loss },
        })
      this.#sum = { steps: this.#sum.steps + 1, loss: this.#sum.loss + loss, norm: this.#sum.norm + norm }
    }
    this.#step = number
    if (this.#sum.steps === 0 || (number % logEvery !== 0 && number !== this.#steps)) return
    const { steps, loss, norm } = this.#sum
    await this.#append({
      step: number,
      epoch: number / this.#epochSteps,
      loss: loss / steps,
      learningRate: rate,
      gradientNorm: norm / steps,
    })
    this.#sum = { steps: 0, loss: 0, norm: 0 }
    run.onProgress?.({
      step: 'pretrain',
      done: Math.min(number * options.batchSize, options.epochs * rowCount(train)),
      total: options.epochs * rowCount(train),
      unit: 'rows',
      metrics: { loss: loss / steps },
    })
  }

  /** The mean loss of the dev rows, each masked token counted once. */
  async #evaluate(): Promise<void> {
    const { job, scoring } = this.#parts
    const rows = rowCount(job.dev)
    if (rows === 0) return
    let [sum, tokens] = [0, 0]
    for (let start = 0; start < rows; start += job.options.batchSize) {
      const batch = Uint32Array.from({ length: Math.min(job.options.batchSize, rows - start) }, (_, i) => start + i)
      const { feeds, dims } = this.#feeds(job.dev, batch, devMasks)
      if (dims.M === 0) continue
      const { loss } = await scoring.run(feeds, { dims })
      sum += (loss as Float32Array)[0]! * dims.M
      tokens += dims.M
    }
    if (tokens > 0)
      await this.#append({ step: this.#step, epoch: this.#step / this.#epochSteps, dev: { loss: sum / tokens } })
  }

  async #append(entry: TrainLogEntry): Promise<void> {
    this.#history.push(entry)
    const { workFolder } = this.#parts.job
    if (workFolder !== undefined) await appendTrainLog(join(workFolder, logFile), entry)
  }

  async #pauseIfAsked(): Promise<void> {
    const { job, run } = this.#parts
    if (run.signal?.aborted) {
      await this.#save()
      const onwards = job.workFolder === undefined ? '' : '; continue with --resume'
      throw new InterruptedError(`stopped at step ${this.#step}/${this.#steps}${onwards}`, {
        data: { step: this.#step },
      })
    }
    if (performance.now() - this.#saved >= job.options.saveMinutes * 60_000) await this.#save()
  }

  async #save(): Promise<void> {
    const { job, weights, optimizer } = this.#parts
    if (job.workFolder === undefined) return
    await saveTrainingState(job.workFolder, {
      position: {
        fingerprint: this.#fingerprint,
        step: this.#step,
        seconds: this.#earlier + (performance.now() - this.#started) / 1000,
        stale: 0,
        since: this.#sum,
      },
      weights,
      optimizer: optimizer.state(),
    })
    this.#saved = performance.now()
  }
}
