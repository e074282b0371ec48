/**
 * The training loop of an encoder: epochs of batches, evaluation on dev, early stopping, saved states, and a result that does not depend on how
 * often the run was interrupted. Runs where it is called; `trainEncoder` puts it into a worker thread.
 */
import { join } from 'node:path'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { encoderModel } from '../models/architectures.ts'
import type { EncoderConfig, EncoderModel } from '../models/encoder.ts'
import { readEncoderConfig } from '../models/encoder-config.ts'
import { initialWeights, loadWeights } from '../models/weights.ts'
import { InputError, InterruptedError, RunError } from '../util/errors.ts'
import type { RunOptions } from '../util/progress.ts'
import { adamWDefaults } from './adamw.ts'
import { simdAdamW } from './adamw-kernel.ts'
import { batchCount, epochBatches, rowCount } from './batches.ts'
import { DevEvaluator } from './dev-evaluator.ts'
import { checkJob, type EncoderJob, type EncoderResult } from './encoder-job.ts'
import { objective } from './objectives/index.ts'
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
  type Position,
  saveTrainingState,
} from './training-state.ts'
import { TrainingStep } from './training-step.ts'

/** Updates between two lines of the log. */
const logEvery = 20
const progressMilliseconds = 200

/** Runs a job to its end. See `trainEncoder`. */
export async function runEncoderJob(job: EncoderJob, run: RunOptions = {}): Promise<EncoderResult> {
  checkJob(job)
  const { model, weights } = await startOf(job, run)
  const trainer = await EncoderTrainer.create(job, model, weights, run)
  try {
    return await trainer.train()
  } finally {
    await trainer.close()
  }
}

/** The model and its first weights. */
async function startOf(job: EncoderJob, run: RunOptions) {
  const { model, weights } = await sourceOf(job, run)
  for (const [name, values] of job.initial ?? []) {
    const expected = weights.get(name)?.length
    if (values.length !== expected)
      throw new RangeError(`Expected ${expected} first values for ${name}, received ${values.length}`)
    weights.set(name, values.slice())
  }
  return { model, weights }
}

async function sourceOf({ source, pooling, slots, layout, options }: EncoderJob, run: RunOptions) {
  const { seed, dropout } = options
  const settled = ({ slots: _, ...config }: EncoderConfig): EncoderConfig => ({
    ...config,
    ...(slots === undefined ? {} : { slots }),
    ...(dropout === undefined ? {} : { hiddenDropout: dropout, attentionDropout: dropout, classifierDropout: dropout }),
  })
  const head = { units: layout.unitNodes.length, pooling }
  if ('config' in source) {
    const model = encoderModel(settled(source.config), head)
    return { model, weights: initialWeights(model, seed) }
  }
  const checkpoint = await openCheckpoint(source.folder, run)
  try {
    const config = readEncoderConfig(checkpoint.config, join(checkpoint.folder, 'config.json'))
    const model = encoderModel(settled(config), head)
    return { model, weights: await loadWeights(model, checkpoint, { newClassifier: true, seed, ...run }) }
  } finally {
    await checkpoint.close()
  }
}

/** What a trainer works with. */
interface Parts {
  readonly job: EncoderJob
  readonly run: RunOptions
  readonly model: EncoderModel
  /** All weights by name. */
  readonly weights: Map<string, Float32Array>
  /** Names of the trained ones. */
  readonly trained: readonly string[]
  readonly optimizer: Optimizer
  readonly step: TrainingStep
  readonly dev: DevEvaluator | undefined
  readonly fingerprint: string
}

class EncoderTrainer {
  readonly #parts: Parts
  /** Updates of one epoch, and of all. */
  readonly #epochSteps: number
  readonly #steps: number
  readonly #started = performance.now()
  #position: Position
  #best: Map<string, Float32Array> | undefined
  #history: TrainLogEntry[] = []
  #saved = performance.now()
  #shown = 0
  /** Where the present measurement of speed began. */
  #pace = { time: performance.now(), step: 0 }

  private constructor(parts: Parts) {
    const { job, fingerprint } = parts
    this.#parts = parts
    this.#epochSteps = batchCount(rowCount(job.train.rows), job.options.batchSize)
    this.#steps = job.options.epochs * this.#epochSteps
    this.#position = { fingerprint, step: 0, seconds: 0, stale: 0, since: { steps: 0, loss: 0, norm: 0 } }
  }

  static async create(
    job: EncoderJob,
    model: EncoderModel,
    weights: Map<string, Float32Array>,
    run: RunOptions,
  ): Promise<EncoderTrainer> {
    const { options, layout, train, dev, adjustment, workFolder } = job
    const isHead = new Set(model.parameters.filter(({ part }) => part !== 'encoder').map(({ name }) => name))
    const rules = parameterRules(model.parameters, options.freeze, (name) => isHead.has(name), options.headRate)
    const trained = model.parameters.filter(({ name }) => rules.get(name)!.trained)
    const tensorOf = ({ name, shape }: (typeof trained)[number]) => {
      const { decays, rate } = rules.get(name)!
      return { name, weights: weights.get(name)!, decays, rate, width: shape.at(-1)! }
    }
    const dense = trained.filter(({ lookup }) => !lookup).map(tensorOf)
    const tables = trained.filter(({ lookup }) => lookup).map(tensorOf)
    const kernel = await simdAdamW(dense.map((tensor) => tensor.weights.length))
    const optimizer = new Optimizer(dense, tables, kernel, { ...adamWDefaults, weightDecay: options.weightDecay })
    const trainer = new EncoderTrainer({
      job,
      run,
      model,
      weights,
      trained: trained.map(({ name }) => name),
      optimizer,
      fingerprint: workFolder === undefined ? '' : fingerprintOf(...fingerprintParts(job, model.config, weights)),
      step: await TrainingStep.create(
        {
          model,
          weights,
          rules,
          layout,
          objective: objective(job.objective),
          loss: {
            labelSmoothing: options.labelSmoothing,
            ...(adjustment ? { adjustment } : {}),
            ...(job.loss ? { loss: job.loss } : {}),
          },
          rows: train.rows,
          targets: train.targets,
          microBatchSize: options.microBatchSize ?? options.batchSize,
          seed: options.seed,
          threads: options.threads,
        },
        optimizer,
        run,
      ),
      dev: dev && (await DevEvaluator.create(model, weights, layout, dev, optimizer, options.threads)),
    })
    if (workFolder !== undefined) await trainer.#open(workFolder)
    return trainer
  }

  async close(): Promise<void> {
    await this.#parts.step.close()
    await this.#parts.dev?.close()
  }

  /** Opens the work folder: an empty log and the first state, or the state that is resumed. */
  async #open(folder: string): Promise<void> {
    await openWorkFolder(folder)
    const found = await hasTrainingState(folder)
    if (found && !this.#parts.job.resume)
      throw new InputError('RUN_UNFINISHED', 'The folder holds an unfinished training run', {
        where: { file: folder },
        help: 'continue it with --resume, or start anew with --force',
      })
    const log = join(folder, logFile)
    if (found) {
      const state = await loadTrainingState(folder, this.#position.fingerprint)
      this.#position = state.position
      this.#best = state.best && new Map(state.best)
      for (const [name, values] of state.weights) this.#parts.weights.get(name)!.set(values)
      this.#parts.optimizer.restore(state.optimizer)
      this.#pace.step = state.position.step
    } else if (this.#parts.job.resume) this.#note('there is no saved state: training starts from the beginning')
    await rewindTrainLog(log, found ? this.#position.step : -1)
    this.#history = await readTrainLog(log)
  }

  #note(note: string): void {
    this.#parts.run.onProgress?.({ step: 'train', done: 0, note })
  }

  async train(): Promise<EncoderResult> {
    const { options, train } = this.#parts.job
    let stoppedBy: EncoderResult['stoppedBy'] | undefined = this.#stopsAlready()
    let batches: Uint32Array[] = []
    let epoch = -1
    while (!stoppedBy && this.#position.step < this.#steps) {
      const at = Math.floor(this.#position.step / this.#epochSteps)
      if (at !== epoch) {
        epoch = at
        batches = epochBatches(train.rows, options.batchSize, options.seed, epoch)
      }
      await this.#update(batches[this.#position.step % this.#epochSteps]!)
      if (this.#evaluationIsDue()) await this.#evaluate()
      stoppedBy = this.#stopsAlready()
      // The thread is free for a moment: an abort is seen here.
      await new Promise((resolve) => setImmediate(resolve))
      if (!stoppedBy && this.#position.step < this.#steps) await this.#pauseIfAsked()
    }
    return this.#finish(stoppedBy ?? 'epochs')
  }

  #stopsAlready(): 'patience' | 'time' | undefined {
    const { patience, maxMinutes } = this.#parts.job.options
    if (patience !== undefined && this.#position.stale >= patience) return 'patience'
    if (maxMinutes !== undefined && this.#seconds() >= maxMinutes * 60) return 'time'
    return undefined
  }

  #seconds(): number {
    return this.#position.seconds + (performance.now() - this.#started) / 1000
  }

  async #update(batch: Uint32Array): Promise<void> {
    const { options } = this.#parts.job
    const number = this.#position.step + 1
    const schedule = { name: options.schedule, warmUp: options.warmUp }
    const rate = options.learningRate * learningRateFactor(schedule, number, this.#steps)
    const { loss, norm } = await this.#parts.step.run(batch, rate, options.clip)
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) throw notFinite(number, rate, loss, options.learningRate)
    const { since } = this.#position
    this.#position = {
      ...this.#position,
      step: number,
      since: { steps: since.steps + 1, loss: since.loss + loss, norm: since.norm + norm },
    }
    if (number % logEvery === 0 || number === this.#steps) await this.#log(rate)
    this.#show(loss)
  }

  async #log(learningRate: number): Promise<void> {
    const { step, since } = this.#position
    await this.#append({
      step,
      epoch: step / this.#epochSteps,
      loss: since.loss / since.steps,
      learningRate,
      gradientNorm: since.norm / since.steps,
      rowsPerSecond: this.#rowsPerSecond(),
    })
    this.#position = { ...this.#position, since: { steps: 0, loss: 0, norm: 0 } }
    this.#pace = { time: performance.now(), step }
  }

  async #append(entry: TrainLogEntry): Promise<void> {
    this.#history.push(entry)
    const { workFolder } = this.#parts.job
    if (workFolder !== undefined) await appendTrainLog(join(workFolder, logFile), entry)
  }

  #rowsPerSecond(): number {
    const steps = this.#position.step - this.#pace.step
    return (steps * this.#parts.job.options.batchSize * 1000) / (performance.now() - this.#pace.time)
  }

  #show(loss: number): void {
    if (performance.now() - this.#shown < progressMilliseconds && this.#position.step < this.#steps) return
    this.#shown = performance.now()
    const rows = rowCount(this.#parts.job.train.rows)
    const { step, best } = this.#position
    const epoch = Math.floor(step / this.#epochSteps)
    const within = Math.min(rows, (step % this.#epochSteps) * this.#parts.job.options.batchSize)
    this.#parts.run.onProgress?.({
      step: 'train',
      done: epoch * rows + within,
      total: this.#parts.job.options.epochs * rows,
      unit: 'rows',
      metrics: { loss, ...(best ? { [`dev ${this.#parts.dev!.metric}`]: best.value } : {}) },
    })
  }

  #evaluationIsDue(): boolean {
    if (!this.#parts.dev) return false
    const { step } = this.#position
    return step === this.#steps || step % (this.#parts.job.options.evaluateEvery ?? this.#epochSteps) === 0
  }

  async #evaluate(): Promise<void> {
    const { step, best } = this.#position
    const scores = await this.#parts.dev!.evaluate()
    const value = scores[this.#parts.dev!.metric]!
    await this.#append({ step, epoch: step / this.#epochSteps, dev: scores })
    // A score of 0 is none: with several labels a row, nothing is right at first, and the latest weights are the best there are.
    if (best && best.value > 0 && value <= best.value)
      this.#position = { ...this.#position, stale: this.#position.stale + 1 }
    else {
      this.#position = { ...this.#position, stale: 0, best: { step, value } }
      this.#best = this.#present()
    }
    this.#pace = { time: performance.now(), step }
  }

  /** Copies of the trained tensors as they stand now. */
  #present(): Map<string, Float32Array> {
    const { tokenTable } = this.#parts.model
    return new Map(
      this.#parts.trained.map((name) => [
        name,
        name === tokenTable ? this.#parts.optimizer.table(name) : this.#parts.weights.get(name)!.slice(),
      ]),
    )
  }

  async #pauseIfAsked(): Promise<void> {
    const { workFolder, options } = this.#parts.job
    if (this.#parts.run.signal?.aborted) {
      await this.#save()
      const { step } = this.#position
      const epoch = Math.floor(step / this.#epochSteps) + 1
      const onwards = workFolder === undefined ? '' : '; continue with --resume'
      throw new InterruptedError(`stopped at epoch ${epoch}/${options.epochs}, step ${step}${onwards}`, {
        data: { step, epoch },
      })
    }
    if (performance.now() - this.#saved >= options.saveMinutes * 60_000) await this.#save()
  }

  async #save(): Promise<void> {
    const { workFolder } = this.#parts.job
    if (workFolder === undefined) return
    await saveTrainingState(workFolder, {
      position: { ...this.#position, seconds: this.#seconds() },
      weights: new Map(this.#parts.trained.map((name) => [name, this.#parts.weights.get(name)!])),
      ...(this.#best ? { best: this.#best } : {}),
      optimizer: this.#parts.optimizer.state(),
    })
    this.#saved = performance.now()
  }

  async #finish(stoppedBy: EncoderResult['stoppedBy']): Promise<EncoderResult> {
    // A run that time cut short can still be resumed with more time: the state is from before the last evaluation.
    if (stoppedBy === 'time') {
      await this.#save()
      if (this.#parts.dev && this.#history.at(-1)?.dev === undefined) await this.#evaluate()
    }
    const { best, step } = this.#position
    for (const [name, values] of this.#best ?? this.#present()) this.#parts.weights.set(name, values)
    return {
      weights: this.#parts.weights,
      config: this.#parts.model.config,
      history: this.#history,
      stoppedBy,
      step,
      ...(best ? { best: { ...best, metric: this.#parts.dev!.metric } } : {}),
    }
  }
}

/** What makes two runs the same: everything that the result depends on. */
function* fingerprintParts(
  { layout, train, dev, adjustment, pooling, objective, loss, options }: EncoderJob,
  config: EncoderConfig,
  weights: ReadonlyMap<string, Float32Array>,
): Generator<ArrayBufferView | string> {
  const { maxMinutes: _, saveMinutes: __, ...rest } = options
  yield JSON.stringify({
    layout: { ...layout, unitNodes: [] },
    pooling,
    objective,
    loss: loss && [loss.name, loss.options],
    rest,
    config,
  })
  yield layout.unitNodes
  for (const part of dev ? [train, dev] : [train]) {
    yield part.rows.offsets
    yield part.rows.tokens
    yield part.targets.groupOffsets
    yield part.targets.activeGroups
    yield part.targets.unitOffsets
    yield part.targets.rightUnits
  }
  if (adjustment) yield adjustment
  for (const [name, values] of weights) {
    yield name
    yield values
  }
}

function notFinite(step: number, rate: number, loss: number, highest: number): RunError {
  const what = Number.isFinite(loss) ? 'The gradient' : 'The loss'
  return new RunError(
    'LOSS_NOT_FINITE',
    `${what} is not a finite number at step ${step} (learning rate ${rate.toPrecision(3)})`,
    {
      help:
        step === 1
          ? 'the first weights may be damaged: check the checkpoint'
          : `try a lower learning rate, such as ${(highest / 3).toPrecision(1)}, or a longer warm-up; nothing was overwritten`,
      data: { step, learningRate: rate, loss },
    },
  )
}
