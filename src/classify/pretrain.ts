/** The verb pretrain: texts in, an encoder with its own vocabulary out, trained by masked language modelling (Devlin et al., 2019). */
import type { Dataset } from '../data/dataset.ts'
import type { MlmOptions } from '../train/mlm-job.ts'
import type { TrainLogEntry } from '../train/train-log.ts'
import type { RunOptions } from '../util/progress.ts'

export interface PretrainOptions extends RunOptions, Partial<Omit<MlmOptions, 'saveMinutes'>> {
  /** The folder to write. */
  out: string
  /** Tokens of the vocabulary; default 8,000. */
  vocabularySize?: number
  /** Default 4. */
  layers?: number
  /** Width of the encoder, a multiple of 32; default 256. */
  hiddenSize?: number
  /** Tokens a text, the rest is cut; default 64. */
  maxLength?: number
  /** Share of the texts held out, to measure the loss on; default 0.02. */
  devShare?: number
  /** Replace `out` if this package wrote it. */
  force?: boolean
  /** Continue an interrupted run of the same call. */
  resume?: boolean
  /** What is written to `espalier.json` as the command. */
  command?: string
}

export interface PretrainResult {
  readonly folder: string
  /** Training loss now and then, and the held-out loss after every epoch, in nats a masked token. */
  readonly history: readonly TrainLogEntry[]
  readonly parameters: number
  readonly texts: number
  readonly steps: number
}

/**
 * Trains a small encoder on texts without labels. The folder is a BERT checkpoint that `train` takes as `encoder`; its pooler stands as it was
 * drawn, so that everything fine-tuned from it starts from the same one.
 * @throws InputError `DATA_EMPTY`, `OPTION_RANGE`, `CONFIG_HEADS`, `OUT_EXISTS`, `RUN_WAITING`, `RESUME_MISMATCH`; RunError `LOSS_NOT_FINITE`;
 *   InterruptedError: the work is kept and `resume` continues it.
 * @example
 * const { history } = await pretrain(await readDataset('texts.jsonl'), { out: 'base', layers: 2, hiddenSize: 64 })
 * const model = await train(await readDataset('tickets.csv'), { encoder: 'base', out: 'tickets' })
 */
export async function pretrain(data: Dataset, options: PretrainOptions): Promise<PretrainResult> {
  return (await import('./run-pretrain.ts')).runPretrain(data, options)
}
