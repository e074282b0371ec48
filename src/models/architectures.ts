/** Every encoder architecture, by family. */
import { bert } from './bert.ts'
import { distilbert } from './distilbert.ts'
import type { EncoderConfig, EncoderFamily, EncoderModel, HeadOptions } from './encoder.ts'
import { gru } from './gru.ts'
import { roberta } from './roberta.ts'

const architectures: Record<EncoderFamily, (config: EncoderConfig, options?: HeadOptions) => EncoderModel> = {
  bert,
  roberta,
  distilbert,
  gru,
}

/**
 * The model of a configuration: its parameters and its forward pass.
 * @example
 * const model = encoderModel(readEncoderConfig(json), { units: 150 })
 * const { logits } = model.build(new Graph())
 */
export function encoderModel(config: EncoderConfig, options?: HeadOptions): EncoderModel {
  return architectures[config.family](config, options)
}
