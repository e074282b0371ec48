/** Requests and answers as valibot schemas: requests are checked by them, and /openapi.json is made of them. */
import * as v from 'valibot'

const flag = (fallback: boolean, description: string) =>
  v.optional(
    v.pipe(
      v.nullable(v.boolean()),
      v.transform((value) => value ?? fallback),
      v.description(description),
    ),
    fallback,
  )
const modelName = v.optional(
  v.pipe(v.nullable(v.string()), v.description('Name of a served model, or MODEL:HEAD; by default the first one')),
)
const truncate = v.optional(
  v.pipe(
    v.nullable(v.boolean()),
    v.description('false: refuse texts of more tokens than the model reads. Default: cut them'),
  ),
)
const direction = v.optional(
  v.pipe(v.nullable(v.picklist(['right', 'Right'])), v.description('Texts are cut at their end')),
)
const one = v.pipe(v.string(), v.description('One text'))
const several = v.pipe(v.array(v.string()), v.minLength(1), v.description('Several texts'))
const dimensions = v.optional(
  v.pipe(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1))), v.description('Keep the first so many values')),
)

export const predictRequest = v.object({
  inputs: v.pipe(
    v.union([
      one,
      v.pipe(
        v.array(v.string()),
        v.minLength(1),
        v.maxLength(2),
        v.description('One text as a list; two are a pair, which no model here takes'),
      ),
      v.pipe(
        v.array(v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(2))),
        v.minLength(1),
        v.description('Several texts, each in a list of its own'),
      ),
    ]),
    v.description('A text, or a batch [["text"], ["text"]]'),
  ),
  truncate,
  truncation_direction: direction,
  raw_scores: flag(false, 'Logits instead of probabilities'),
  model: modelName,
})

const labelScore = v.object({ score: v.number(), label: v.string() })
export const predictAnswer = v.union([v.array(labelScore), v.array(v.array(labelScore))])

export const embedRequest = v.object({
  inputs: v.union([one, several]),
  truncate,
  truncation_direction: direction,
  normalize: flag(true, 'Scale vectors to length 1'),
  dimensions,
  prompt_name: v.optional(v.pipe(v.null(), v.description('Prompts are not supported'))),
  model: modelName,
})
export const embedAnswer = v.array(v.array(v.number()))

export const rerankRequest = v.object({
  query: v.string(),
  texts: several,
  truncate,
  truncation_direction: direction,
  raw_scores: flag(false, 'The cosine itself, -1 to 1, instead of (1 + cosine) / 2'),
  return_text: flag(false, 'Repeat each text in its rank'),
  model: modelName,
})
export const rerankAnswer = v.array(v.object({ index: v.number(), text: v.optional(v.string()), score: v.number() }))

export const embeddingsRequest = v.object({
  input: v.union([one, several]),
  model: modelName,
  encoding_format: v.optional(v.nullable(v.picklist(['float', 'base64']))),
  dimensions,
  user: v.optional(v.nullable(v.string())),
})
const usage = v.object({ prompt_tokens: v.number(), total_tokens: v.number() })
export const embeddingsAnswer = v.object({
  object: v.literal('list'),
  data: v.array(
    v.object({
      object: v.literal('embedding'),
      index: v.number(),
      embedding: v.union([v.array(v.number()), v.pipe(v.string(), v.description('float32, little-endian, base64'))]),
    }),
  ),
  model: v.string(),
  usage,
})

export const classifyRequest = v.strictObject({
  input: v.union([one, several]),
  model: modelName,
  top_k: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(1000),
      v.description('Labels listed per level and in "top"; default 3'),
    ),
    3,
  ),
  min_confidence: v.optional(
    v.pipe(
      v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
      v.description('Cut the path at the first label less probable than this. Default: as the model was trained'),
    ),
  ),
  truncate,
})
const path = v.array(v.string())
const scoredPath = v.object({ path, probability: v.number() })
const surePath = { path, confidence: v.array(v.number()) }
export const classifyAnswer = v.object({
  object: v.literal('list'),
  model: v.string(),
  data: v.array(
    v.object({
      index: v.number(),
      ...surePath,
      abstained: v.pipe(v.boolean(), v.description('No label is sure enough')),
      paths: v.array(v.object(surePath)),
      levels: v.array(v.object({ level: v.number(), labels: v.array(scoredPath) })),
      top: v.array(scoredPath),
    }),
  ),
})

export const modelsAnswer = v.object({
  object: v.literal('list'),
  data: v.array(
    v.object({
      id: v.string(),
      object: v.literal('model'),
      owned_by: v.string(),
      kind: v.string(),
      tasks: v.array(v.string()),
      dimensions: v.optional(v.number()),
      pooling: v.optional(v.string()),
      max_tokens: v.optional(v.number()),
      labels: v.optional(v.object({ count: v.number(), levels: v.number() })),
    }),
  ),
})
export const healthAnswer = v.object({ status: v.picklist(['ok', 'stopping']), models: v.array(v.string()) })

/** Errors of /predict, /embed and /rerank: as text-embeddings-inference sends them, with our code and advice beside. */
export const plainError = v.object({
  error: v.string(),
  error_type: v.picklist(['Validation', 'Tokenizer', 'Overloaded', 'Backend', 'Unhealthy', 'Empty']),
  code: v.string(),
  help: v.optional(v.string()),
})
/** Errors of everything else: as OpenAI sends them. */
export const envelopeError = v.object({
  error: v.object({
    message: v.string(),
    type: v.string(),
    param: v.nullable(v.string()),
    code: v.string(),
    help: v.optional(v.string()),
  }),
})
