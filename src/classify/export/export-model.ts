/** The verb export: a model in the files of another program, checked against its source before they take their name. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { recordFile, writeFolderAtomic } from '../../util/atomic.ts'
import { InputError } from '../../util/errors.ts'
import type { RunOptions } from '../../util/progress.ts'
import { version } from '../../util/version.ts'
import { type EncoderParts, type ExportSource, openExportSource } from './open-source.ts'
import type { Parity } from './parity.ts'
import { sampleTexts } from './sample-texts.ts'

export const exportFormats = ['onnx', 'transformers', 'safetensors', 'gguf'] as const
export type ExportFormat = (typeof exportFormats)[number]

export interface ExportOptions extends RunOptions {
  /**
   * onnx: for `@huggingface/transformers`, optimum and ONNX Runtime; after softmax (or sigmoid) its logits are this package's probabilities.
   * transformers: for PyTorch transformers, with equal logits. safetensors: this package's own folder, of any kind of model. gguf: for llama.cpp
   * (BERT with a WordPiece tokenizer).
   */
  format: ExportFormat
  /** The folder to write. */
  out: string
  /** Replace `out` if this package wrote it. Default false. */
  force?: boolean
  /** The head to export of a merged model with several. */
  head?: string
  /** Type of the weights in a gguf file. Default F32. */
  ggufType?: 'F32' | 'F16'
  /** Texts that the export is checked on. Default: fourteen texts in several scripts. */
  texts?: readonly string[]
  /** What is written to `espalier.json` as the command. */
  command?: string
}

export interface ExportResult {
  format: ExportFormat
  folder: string
  parity: Parity
}

/**
 * Writes a model for other programs, atomically, and compares what was written with the source on sample texts.
 * @param source a classifier's or checkpoint's folder, or `hf:ORG/NAME`.
 * @throws InputError `EXPORT_KIND` if the format has no form for this kind of model, `EXPORT_HEAD`, `EXPORT_SIZE`, `OUT_EXISTS`, and those of
 * `loadClassifier`; RunError `EXPORT_DIFFERS` if the written files answer otherwise than the source: then nothing is left behind.
 * @example
 * const { parity } = await exportModel('model', { format: 'onnx', out: 'model-onnx' })
 * parity.largestDifference <= parity.tolerance // true
 */
export async function exportModel(source: string, options: ExportOptions): Promise<ExportResult> {
  const { format, out, force = false, head, command, texts = sampleTexts } = options
  const opened = await openExportSource(source, { ...options, ...(head === undefined ? {} : { head }) })
  try {
    const parity = await writeFolderAtomic(out, { force }, async (folder) => {
      const checked = await write(folder, opened, texts, options)
      const record = {
        espalier: version,
        command: command ?? `export ${source} --format ${format}`,
        format,
        source,
        parity: checked,
      }
      await writeFile(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`)
      return checked
    })
    return { format, folder: out, parity }
  } finally {
    await opened.close()
  }
}

async function write(
  folder: string,
  source: ExportSource,
  texts: readonly string[],
  options: ExportOptions,
): Promise<Parity> {
  switch (options.format) {
    case 'safetensors': {
      if (!source.classifier) break
      const { compareLogits } = await import('./write-transformers.ts')
      await source.classifier.writeInto(folder)
      return compareLogits(folder, source.classifier, texts, options)
    }
    case 'onnx': {
      const { writeOnnx } = await import('./write-onnx.ts')
      return writeOnnx(folder, source, encoderOf(source, options.format), texts, options)
    }
    case 'gguf': {
      const { writeGguf } = await import('./write-gguf.ts')
      return writeGguf(folder, source, encoderOf(source, options.format), options.ggufType ?? 'F32')
    }
    case 'transformers':
  }
  const { writeTransformers } = await import('./write-transformers.ts')
  return writeTransformers(folder, source, encoderOf(source, options.format), texts, options)
}

function encoderOf({ encoder, classifier, folder }: ExportSource, format: ExportFormat): EncoderParts {
  if (encoder) return encoder
  const kind = classifier?.scorer.kind ?? 'model'
  throw new InputError('EXPORT_KIND', `${format} has no form for a model of kind ${kind}`, {
    where: { file: folder },
    help:
      kind === 'ngram'
        ? 'its n-grams are hashed from text, for which ONNX has no operator: use --format safetensors, or serve it'
        : 'use --format safetensors',
  })
}
