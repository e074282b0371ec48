/** The verbs of the command line. A verb's own file is loaded only when it is called or its help is asked for. */
import type { Command } from 'commander'
import type { Session } from '../session.ts'

/** What a command's file exports: it declares arguments, options and help on `command` and sets its action. */
export interface CommandModule {
  configure(command: Command, session: Session): void
}

export interface CommandEntry {
  name: string
  summary: string
  load(): Promise<CommandModule>
}

export const commands: readonly CommandEntry[] = [
  { name: 'train', summary: 'Train a classifier on labelled texts', load: () => import('./train.ts') },
  {
    name: 'pretrain',
    summary: 'Train a small encoder on texts without labels',
    load: () => import('./pretrain.ts'),
  },
  { name: 'evaluate', summary: 'Measure a classifier on labelled texts', load: () => import('./evaluate.ts') },
  { name: 'predict', summary: 'Find the label path of each text', load: () => import('./predict.ts') },
  {
    name: 'explain',
    summary: 'Show which words speak for a label, and which against',
    load: () => import('./explain.ts'),
  },
  { name: 'merge', summary: 'Merge checkpoints by a recipe (mergekit YAML)', load: () => import('./merge.ts') },
  {
    name: 'extract-lora',
    summary: 'Extract a LoRA adapter from a fine-tuned model',
    load: () => import('./extract-lora.ts'),
  },
  {
    name: 'export',
    summary: 'Write a model for other programs: ONNX, transformers, gguf',
    load: () => import('./export.ts'),
  },
  {
    name: 'serve',
    summary: 'Answer over HTTP: labels, embeddings, ranks',
    load: () => import('./serve.ts'),
  },
  {
    name: 'studio',
    summary: 'Look at a folder of runs in the browser',
    load: () => import('./studio.ts'),
  },
  {
    name: 'align',
    summary: 'Fit the heads of a merged model with a few texts of each task',
    load: () => import('./align.ts'),
  },
  {
    name: 'organize',
    summary: 'Make one good label set out of two imperfect ones',
    load: () => import('./organize.ts'),
  },
  { name: 'select', summary: 'Choose few rows of many', load: () => import('./select.ts') },
  {
    name: 'inspect',
    summary: 'Describe a classifier, a checkpoint, a data file or a label tree',
    load: () => import('./inspect.ts'),
  },
  { name: 'systems', summary: 'List the methods and their options', load: () => import('./systems.ts') },
  {
    name: 'demo',
    summary: 'Train, measure and try a classifier on bundled data, in under 90 seconds',
    load: () => import('./demo.ts'),
  },
]
