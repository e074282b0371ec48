/** Slot heads by their configuration. */
import { labelAttention } from './label-attention.ts'
import { layerPrompts } from './layer-prompts.ts'
import { levelSlots } from './levels.ts'
import { plantedAttention } from './planted-attention.ts'
import { pooledAttention } from './pooled-attention.ts'
import type { SlotConfig } from './slot-config.ts'
import type { SlotHead } from './slot-head.ts'

export { type SlotConfig, slotKey, slotSchema } from './slot-config.ts'
export { type LayerPrompts, promptsOf, type SlotHead, type SlotScores, type SlotStates } from './slot-head.ts'

export function slotHead(config: SlotConfig): SlotHead {
  switch (config.kind) {
    case 'label-attention':
      return labelAttention(config)
    case 'planted-attention':
      return plantedAttention(config)
    case 'levels':
      return levelSlots(config)
    case 'layer-prompts':
      return layerPrompts(config)
    case 'pooled-attention':
      return pooledAttention(config)
  }
}
