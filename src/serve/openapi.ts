/** The OpenAPI 3.1 description, made of the schemas that check the requests. */
import { toJsonSchema } from '@valibot/to-json-schema'
import type * as v from 'valibot'
import { version } from '../util/version.ts'
import * as schemas from './schemas.ts'

/** Requests are described as they are sent, before defaults are filled in. */
const schemaOf = (schema: v.GenericSchema, typeMode: 'input' | 'output') => {
  const { $schema: _, ...rest } = toJsonSchema(schema, { typeMode, errorMode: 'ignore' })
  return rest
}

interface Operation {
  summary: string
  request?: v.GenericSchema
  answer: v.GenericSchema
  error: v.GenericSchema
}

const { plainError, envelopeError } = schemas
const posts: Record<string, Operation> = {
  '/predict': {
    summary: 'Scores of every label, as text-embeddings-inference gives them',
    request: schemas.predictRequest,
    answer: schemas.predictAnswer,
    error: plainError,
  },
  '/embed': {
    summary: 'Vectors of texts, as text-embeddings-inference gives them; encoders only',
    request: schemas.embedRequest,
    answer: schemas.embedAnswer,
    error: plainError,
  },
  '/rerank': {
    summary: 'Texts by the cosine of their vectors to that of a query; encoders only',
    request: schemas.rerankRequest,
    answer: schemas.rerankAnswer,
    error: plainError,
  },
  '/v1/embeddings': {
    summary: 'Vectors of texts, as OpenAI gives them; encoders only',
    request: schemas.embeddingsRequest,
    answer: schemas.embeddingsAnswer,
    error: envelopeError,
  },
  '/v1/classify': {
    summary: 'Label paths with probabilities, the best labels of every level, and abstention',
    request: schemas.classifyRequest,
    answer: schemas.classifyAnswer,
    error: envelopeError,
  },
}

const content = (schema: object) => ({ 'application/json': { schema } })
const reference = (error: v.GenericSchema) => ({
  $ref: `#/components/schemas/${error === plainError ? 'PlainError' : 'EnvelopeError'}`,
})

const refusals: Record<string, string> = {
  400: 'The body is not JSON in UTF-8',
  401: 'The key is missing or wrong',
  404: 'No such model',
  413: 'The body, the batch or a text is too large',
  415: 'The content type is not application/json',
  422: 'The request has another shape, or a text is empty',
  424: 'The model cannot do this',
  429: 'Overloaded: try again after Retry-After seconds',
  503: 'The server is stopping, or the answer took too long',
}

function post({ summary, request, answer, error }: Operation): object {
  const failures = Object.entries(refusals).map(([status, description]) => [
    status,
    { description, content: content(reference(error)) },
  ])
  return {
    post: {
      summary,
      ...(request ? { requestBody: { required: true, content: content(schemaOf(request, 'input')) } } : {}),
      responses: {
        200: { description: 'The answer', content: content(schemaOf(answer, 'output')) },
        ...Object.fromEntries(failures),
      },
      security: [{}, { key: [] }],
    },
  }
}

const get = (summary: string, type: string, schema: object) => ({
  get: { summary, responses: { 200: { description: 'The answer', content: { [type]: { schema } } } } },
})

let made: object | undefined

/** The document of /openapi.json. */
export function openapi(): object {
  made ??= {
    openapi: '3.1.0',
    info: { title: 'espalier', version, description: 'Text classifiers and encoders over HTTP.' },
    paths: {
      ...Object.fromEntries(Object.entries(posts).map(([path, operation]) => [path, post(operation)])),
      ...Object.fromEntries(
        Object.entries(posts).map(([path, operation]) => [
          `/models/{model}${path}`,
          {
            ...post({ ...operation, summary: `${operation.summary}; the model is named in the path` }),
            parameters: [{ name: 'model', in: 'path', required: true, schema: { type: 'string' } }],
          },
        ]),
      ),
      '/health': get('Whether the server answers', 'application/json', schemaOf(schemas.healthAnswer, 'output')),
      '/metrics': get('Counters for Prometheus', 'text/plain', { type: 'string' }),
      '/v1/models': get('What is served', 'application/json', schemaOf(schemas.modelsAnswer, 'output')),
      '/openapi.json': get('This document', 'application/json', { type: 'object' }),
    },
    components: {
      schemas: { PlainError: schemaOf(plainError, 'output'), EnvelopeError: schemaOf(envelopeError, 'output') },
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
  }
  return made
}
