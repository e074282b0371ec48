/** Which slots a classifier reads its text through, as it stands in config.json under `espalier_slots`; see slot-head.ts. */
import * as v from 'valibot'

const count = v.pipe(v.number(), v.integer(), v.minValue(1))

/** Every kind of slot head, by `kind`. */
export const slotSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('label-attention'),
    /** caml: a vector per label is compared with the states. laat: with a projection of them, `size` wide. */
    form: v.picklist(['caml', 'laat']),
    size: v.optional(count),
  }),
])

export type SlotConfig = v.InferOutput<typeof slotSchema>
export type SlotConfigOf<Kind extends SlotConfig['kind']> = Extract<SlotConfig, { kind: Kind }>

/** The key of config.json. */
export const slotKey = 'espalier_slots'
