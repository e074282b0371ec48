/** Request bodies: JSON in UTF-8, of bounded size, checked by a schema. */
import type { IncomingMessage } from 'node:http'
import * as v from 'valibot'
import { InputError, InterruptedError } from '../util/errors.ts'

/**
 * Reads, parses and checks the body of a request.
 * @param incoming the same request as Node received it, if it did: its body is read from there, because web streams cost more than all the rest.
 * @throws InputError `CONTENT_TYPE`, `BODY_TOO_LARGE`, `REQUEST_MALFORMED`, `REQUEST_SHAPE`
 */
export async function readBody<Schema extends v.GenericSchema>(
  request: Request,
  schema: Schema,
  mostBytes: number,
  incoming?: IncomingMessage,
): Promise<v.InferOutput<Schema>> {
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type))
    throw new InputError(
      'CONTENT_TYPE',
      `Expected content type application/json, received ${type === '' ? 'none' : JSON.stringify(type.slice(0, 80))}`,
    )
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity')
    throw new InputError(
      'CONTENT_TYPE',
      `Expected a body without content encoding, received ${JSON.stringify(encoding.slice(0, 80))}`,
    )
  if (Number(request.headers.get('content-length') ?? 0) > mostBytes) throw tooLarge(mostBytes)
  const isUnread = incoming !== undefined && !incoming.readableDidRead
  const value = parse(await (isUnread ? readIncoming(incoming, mostBytes) : readStream(request, mostBytes)))
  const parsed = v.safeParse(schema, value, { abortEarly: true })
  if (parsed.success) return parsed.output
  const issue = parsed.issues[0]
  const key = v.getDotPath(issue) ?? ''
  throw new InputError('REQUEST_SHAPE', `${issue.message.slice(0, 300)}${key === '' ? '' : ` at ${key}`}`, {
    where: { key },
    help: 'the shapes of requests are in /openapi.json',
  })
}

const tooLarge = (most: number) =>
  new InputError('BODY_TOO_LARGE', `Expected a body of at most ${most.toLocaleString('en-US')} bytes, received more`, {
    help: 'send fewer texts at once',
  })

async function readStream(request: Request, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  if (request.body)
    for await (const part of request.body as unknown as AsyncIterable<Uint8Array>) {
      length += part.length
      if (length > most) throw tooLarge(most)
      parts.push(part)
    }
  return Buffer.concat(parts)
}

function readIncoming(incoming: IncomingMessage, most: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = []
    let length = 0
    const onData = (part: Uint8Array) => {
      parts.push(part)
      length += part.length
      if (length <= most) return
      incoming.off('data', onData).pause()
      reject(tooLarge(most))
    }
    // The client has gone, or was cut off for sending too slowly: no one reads the answer.
    const onGone = () => {
      if (!incoming.readableEnded) reject(new InterruptedError('The client has gone'))
    }
    if (incoming.destroyed) return onGone()
    incoming.on('data', onData)
    incoming.once('end', () => resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts)))
    incoming.once('error', onGone)
    incoming.once('close', onGone)
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** No request nests deeper than a few levels; parsing a million takes a second. */
const deepest = 64

function checkDepth(text: string): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i) // 34 is a quote, 92 a backslash, 91 [, 93 ], 123 {, 125 }
    if (inString) {
      if (code === 92) i++
      else if (code === 34) inString = false
    } else if (code === 34) inString = true
    else if (code === 91 || code === 123) {
      if (++depth > deepest)
        throw new InputError('REQUEST_MALFORMED', `The body nests deeper than ${deepest} levels, at position ${i}`)
    } else if (code === 93 || code === 125) depth--
  }
}

function parse(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new InputError('REQUEST_MALFORMED', 'The body is not valid UTF-8')
  }
  checkDepth(text)
  try {
    return JSON.parse(text)
  } catch (error) {
    const place = / at position \d+.*$/.exec(error instanceof Error ? error.message : '')?.[0] ?? ''
    throw new InputError('REQUEST_MALFORMED', `The body is not valid JSON${place.slice(0, 80)}`)
  }
}
