/** Slot heads by their configuration. */
import { labelAttention } from './label-attention.ts'
import type { SlotConfig } from './slot-config.ts'
import type { SlotHead } from './slot-head.ts'

export { type SlotConfig, slotKey, slotSchema } from './slot-config.ts'
export type { SlotHead, SlotScores, SlotStates } from './slot-head.ts'

export function slotHead(config: SlotConfig): SlotHead {
  switch (config.kind) {
    case 'label-attention':
      return labelAttention(config)
  }
}
