/** Calls of the studio's server. */
import type { Fault, JobLine } from '../../../src/serve/studio/api.ts'

/** What the server refused, with its reason. */
export class Refused extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.message)
    this.fault = fault
  }
}

async function answered(response: Response): Promise<Response> {
  if (response.ok) return response
  const body = (await response.json().catch(() => ({}))) as { fault?: Fault; error?: { code: string; message: string } }
  throw new Refused(body.fault ?? body.error ?? { code: String(response.status), message: 'The server gave no answer' })
}

/** A fault for people, whatever was thrown. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Refused) return error.fault
  const message = error instanceof TypeError ? 'The studio does not answer: is it still running?' : String(error)
  return { code: 'CONNECTION', message }
}

export async function get<T>(path: string, query: Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
  const search = new URLSearchParams(query).toString()
  const response = await fetch(`api/${path}${search && `?${search}`}`, { signal: signal ?? null })
  return (await answered(response)).json() as Promise<T>
}

const post = (path: string, body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(`api/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: signal ?? null,
  }).then(answered)

export async function ask<T>(path: string, body: object, signal?: AbortSignal): Promise<T> {
  return (await post(path, body, signal)).json() as Promise<T>
}

export type JobProgress = Extract<JobLine<never>, { type: 'progress' }>

/** A long job: its progress comes line by line, its result last. */
export async function job<T>(
  path: string,
  body: object,
  onProgress: (progress: JobProgress) => void,
  signal?: AbortSignal,
): Promise<T> {
  const response = await post(path, body, signal)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    rest += value ?? ''
    const lines = rest.split('\n')
    rest = lines.pop()!
    for (const text of lines) {
      const line = JSON.parse(text) as JobLine<T>
      if (line.type === 'progress') onProgress(line)
      else if (line.type === 'failed') throw new Refused(line.fault)
      else return line.result
    }
    if (done) throw new Refused({ code: 'CONNECTION', message: 'The studio stopped before it had the result' })
  }
}
