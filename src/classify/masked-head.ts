/** The head of a checkpoint's masked language model, where slots go on using it. */
import type { EncoderConfig } from '../models/encoder.ts'
import { InputError } from '../util/errors.ts'
import type { SlotInput } from './head-method.ts'

/** Whether config.json names a masked language model. */
export function maskedHead({ source }: EncoderConfig): boolean {
  const { architectures } = source
  return Array.isArray(architectures) && architectures.some((name) => /ForMaskedLM$/.test(String(name)))
}

const names = ['dense.weight', 'dense.bias', 'LayerNorm.weight', 'LayerNorm.bias']

/**
 * First values of a slot head's transform.
 * @throws InputError `METHOD_ENCODER` if the checkpoint has no such head.
 */
export async function maskedHeadTensors({ spare }: Pick<SlotInput, 'spare'>): Promise<[string, Float32Array][]> {
  return Promise.all(
    names.map(async (name): Promise<[string, Float32Array]> => {
      const tensor = `cls.predictions.transform.${name}`
      const old = name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')
      const values = (await spare(tensor)) ?? (await spare(`cls.predictions.transform.${old}`))
      if (values === undefined)
        throw new InputError('METHOD_ENCODER', 'The encoder has no head of a masked language model', {
          where: { tensor },
          help: 'set maskedHead=false, or pretrain an encoder with espalier pretrain',
        })
      return [`slots.transform.${name}`, values]
    }),
  )
}
