/** Opens a trained classifier, or any classification checkpoint in the Hugging Face layout, for predicting and evaluating. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { LabelTree } from '../labels/label-tree.ts'
import { recordFile } from '../util/atomic.ts'
import { InputError, throwIfAborted } from '../util/errors.ts'
import { readJson } from '../util/json.ts'
import type { RunOptions } from '../util/progress.ts'
import { Classifier, type ClassifierSettings, readClassifierFiles, settingsFile } from './classifier.ts'
import { plainCheckpoint } from './plain-checkpoint.ts'
import type { Scorer } from './scorer.ts'

export interface LoadOptions extends RunOptions {
  /** Threads to compute with. Default: the machine's cores. */
  threads?: number
  /** One task of a multi-task model, see `loadTasks`. */
  task?: string | undefined
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/**
 * Loads a classifier from a folder that `train` wrote, from a Hugging Face classification checkpoint (its `id2label` becomes the label tree),
 * or from `hf:ORG/NAME`.
 * @throws InputError `ENOENT`, `MODEL_FORMAT`, `CLASSIFIER_FORMAT`, `TASK_UNNAMED`, `TASK_UNKNOWN`, and the errors of checkpoints and label trees.
 * @example
 * const model = await loadClassifier('demo-out/model')
 */
export async function loadClassifier(source: string, options: LoadOptions = {}): Promise<Classifier> {
  throwIfAborted(options.signal)
  const folder = await localFolder(source, options)
  if (options.task !== undefined) return (await import('./load-tasks.ts')).openTask(folder, options.task, options)
  const file = join(folder, 'config.json')
  const config = (await readJson(file)) as Record<string, unknown>
  if (await exists(join(folder, settingsFile))) {
    const { tree, settings } = await readClassifierFiles(folder)
    const scorer = await openScorer(folder, config, options, { tree, settings })
    const record = (await exists(join(folder, recordFile)))
      ? ((await readJson(join(folder, recordFile))) as Record<string, unknown>)
      : {}
    return checked(new Classifier(tree, settings, scorer, record), folder)
  }
  if (await exists(join(folder, 'heads'))) {
    const tasks = await (await import('./load-tasks.ts')).taskNames(folder)
    throw new InputError('TASK_UNNAMED', `The model has ${tasks.length} tasks, expected the name of one`, {
      where: { file: folder },
      help: `name one (--task ${tasks[0]}): ${tasks.join(', ')}`,
      data: { known: tasks },
    })
  }
  const { tree, settings } = plainCheckpoint(config, file)
  return checked(new Classifier(tree, settings, await openScorer(folder, config, options), {}), folder)
}

/** The folder of a model reference, which must hold a config.json. @throws InputError `ENOENT`, `MODEL_FORMAT`, `HUB_...` */
export async function localFolder(source: string, options: LoadOptions): Promise<string> {
  if (source.startsWith('hf:')) {
    const { resolveModel } = await import('../checkpoint/resolve-model.ts')
    return resolveModel(source, options)
  }
  const found = await stat(source).catch(() => undefined)
  if (!found)
    throw new InputError('ENOENT', 'Model folder not found', {
      where: { file: source },
      help: 'give the folder that `espalier train --out` wrote, or hf:ORG/NAME',
    })
  if (!found.isDirectory())
    throw new InputError('MODEL_FORMAT', 'Expected a model folder, received a file', {
      where: { file: source },
      help: 'give the folder that holds config.json',
    })
  if (!(await exists(join(source, 'config.json')))) {
    throw new InputError('MODEL_FORMAT', 'The folder holds no model: config.json is missing', {
      where: { file: source },
      help: 'give the folder that `espalier train --out` wrote',
    })
  }
  return source
}

async function openScorer(
  folder: string,
  config: Record<string, unknown>,
  options: LoadOptions,
  files?: { tree: LabelTree; settings: ClassifierSettings },
): Promise<Scorer> {
  if (config['model_type'] === 'espalier-llm' && files) {
    const { openLlmScorer } = await import('./llm-scorer.ts')
    return openLlmScorer(folder, config, files.tree, files.settings.layout.unitNodes)
  }
  if (config['model_type'] === 'espalier-xr-linear') {
    const { openXrLinearScorer } = await import('./xr-linear-scorer.ts')
    return openXrLinearScorer(folder, files?.settings.multiLabel ?? false)
  }
  if (config['model_type'] === 'espalier-ngram') {
    const { openNgramScorer } = await import('./ngram-scorer.ts')
    return openNgramScorer(folder)
  }
  const { openEncoderScorer } = await import('./encoder-scorer.ts')
  return openEncoderScorer(folder, {
    ...options,
    ...(files?.settings.maxLength === undefined ? {} : { maxLength: files.settings.maxLength }),
  })
}

function checked(model: Classifier, folder: string): Classifier {
  const expected = model.settings.layout.unitNodes.length
  if (model.scorer.units === expected) return model
  throw new InputError(
    'CLASSIFIER_FORMAT',
    `The head has ${model.scorer.units} outputs, ${settingsFile} describes ${expected}`,
    {
      where: { file: folder },
      help: 'the folder mixes files of two models: restore it, or train the model again',
    },
  )
}
