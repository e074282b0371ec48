/** Which slots a classifier reads its text through, as it stands in config.json under `espalier_slots`; see slot-head.ts. */
import * as v from 'valibot'

const count = v.pipe(v.number(), v.integer(), v.minValue(1))
const place = v.pipe(v.number(), v.integer(), v.minValue(0))

/** Every kind of slot head, by `kind`. */
export const slotSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('label-attention'),
    /** caml: a vector per label is compared with the states. laat: with a projection of them, `size` wide. */
    form: v.picklist(['caml', 'laat']),
    size: v.optional(count),
  }),
  v.strictObject({
    kind: v.literal('planted-attention'),
    /** Which attentions are summed or mixed: by the table of token-label information, by the ranker's scores, learnt from chance. */
    parts: v.pipe(v.array(v.picklist(['table', 'ranker', 'linear'])), v.minLength(1)),
    /** Width of the ranker's factors. */
    factors: count,
    /** Tokens of a text that a label keeps, by part. */
    keep: v.strictObject({ table: count, ranker: count }),
    /** Context vectors are added up, or attentions mixed with weights that are learnt. */
    mix: v.picklist(['sum', 'learned']),
  }),
  v.strictObject({
    kind: v.literal('levels'),
    /** Vectors of the prompt; 0: a slot is the mean of the text's states, through a matrix of its level. */
    prefix: place,
    /** Per level the place of its slot in the prompt, from 0; none without a prompt. */
    places: v.array(place),
    /** Per level the end of its units: they follow those of the level above. */
    ends: v.pipe(v.array(count), v.minLength(1)),
    /** The masked language model's dense layer and normalisation stand between slots and label vectors. */
    transform: v.boolean(),
    /** Scores are cosines times this. Default: products plus a bias. */
    cosine: v.optional(v.pipe(v.number(), v.gtValue(0))),
  }),
  v.strictObject({
    kind: v.literal('layer-prompts'),
    /** Units with prompts, in their order, and the layer (from 0) that reads them; all others are read off the first token. */
    prompts: v.array(v.strictObject({ layer: place, units: count })),
  }),
  v.strictObject({ kind: v.literal('pooled-attention'), form: v.literal('mean') }),
  v.strictObject({
    kind: v.literal('pooled-attention'),
    form: v.literal('structured'),
    heads: count,
    /** Width of the hidden layer. */
    inner: count,
  }),
  v.strictObject({
    kind: v.literal('pooled-attention'),
    form: v.literal('low-rank'),
    heads: count,
    rank: count,
    /** What the tokens are compared with: the mean of the text's states, or one learned vector. */
    context: v.picklist(['mean', 'learned']),
    /** tanh on both factors. */
    bounded: v.boolean(),
  }),
])

export type SlotConfig = v.InferOutput<typeof slotSchema>
export type SlotConfigOf<Kind extends SlotConfig['kind']> = Extract<SlotConfig, { kind: Kind }>

/** The key of config.json. */
export const slotKey = 'espalier_slots'
