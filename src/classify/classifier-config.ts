/** The config.json of a trained encoder classifier. */
import type { HeadLayout } from '../labels/head-layout.ts'
import { formatPath, type LabelTree } from '../labels/label-tree.ts'
import type { EncoderConfig } from '../models/encoder.ts'
import { slotKey } from '../models/slots/slot-config.ts'

/** Tokens per text unless the caller or the encoder says less. */
export const defaultMaxLength = 128

const architectureSuffix = 'ForSequenceClassification'
/** No class of transformers has slots, so none is named. */
const slotArchitectureSuffix = 'WithEspalierSlots'

/** The config.json of a trained classifier: the encoder's own, with the outputs named by their label paths. */
export function classifierConfig(config: EncoderConfig, layout: HeadLayout, tree: LabelTree): Record<string, unknown> {
  const names = Array.from(layout.unitNodes, (node) => formatPath(tree.path(node)))
  const { [slotKey]: _, ...source } = config.source
  const family = { bert: 'Bert', roberta: 'Roberta', distilbert: 'DistilBert', gru: 'Gru' }[config.family]
  return {
    ...source,
    architectures: [`${family}${config.slots === undefined ? architectureSuffix : slotArchitectureSuffix}`],
    ...(config.slots === undefined ? {} : { [slotKey]: config.slots }),
    problem_type: layout.activation === 'sigmoid' ? 'multi_label_classification' : 'single_label_classification',
    id2label: Object.fromEntries(names.map((name, unit) => [String(unit), name])),
    label2id: Object.fromEntries(names.map((name, unit) => [name, unit])),
  }
}
