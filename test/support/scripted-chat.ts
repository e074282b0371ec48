/** A local chat endpoint in the OpenAI format whose replies are scripted, faults included: what tests and benches talk to in place of a paid one. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ScriptedCall {
  /** Labels offered, in the order of the prompt. */
  readonly offered: string[]
  readonly text: string
  /** Whether the prompt quotes an earlier reply that named no label. */
  readonly again: boolean
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: Record<string, unknown>
}

/** What an endpoint answers: a reply's text, an HTTP status, or nothing at all (it never answers). */
export type ScriptedReply = string | { status: number; headers?: Record<string, string>; body?: string } | undefined

export interface ScriptedChat {
  readonly url: string
  /** Requests received, in order. */
  readonly calls: ScriptedCall[]
  close(): Promise<void>
}

/** @param countTokens false: replies carry no usage, as some servers do. */
export async function scriptedChat(
  reply: (call: ScriptedCall, number: number) => ScriptedReply,
  { countTokens = true } = {},
): Promise<ScriptedChat> {
  const calls: ScriptedCall[] = []
  const server = createServer(async (request, response) => {
    let raw = ''
    for await (const chunk of request) raw += chunk
    const body = JSON.parse(raw) as { messages: { role: string; content: string }[] }
    const contentOf = (role: string) => body.messages.find((message) => message.role === role)?.content ?? ''
    const system = contentOf('system')
    const user = contentOf('user')
    const list = /Labels:\n((?:- .*\n?)*)/.exec(system)?.[1] ?? ''
    const call: ScriptedCall = {
      offered: list.split('\n').flatMap((line) => (line.startsWith('- ') ? [line.slice(2)] : [])),
      text: /^Text: (.*)$/m.exec(user)?.[1] ?? '',
      again: user.includes('is not in the list of labels'),
      headers: request.headers,
      body: body as unknown as Record<string, unknown>,
    }
    calls.push(call)
    const answer = reply(call, calls.length - 1)
    if (answer === undefined) return
    if (typeof answer !== 'string') {
      response.writeHead(answer.status, answer.headers)
      response.end(answer.body ?? '{"error": {"message": "scripted"}}')
      return
    }
    const tokens = (text: string) => Math.ceil(text.length / 4)
    const usage = {
      prompt_tokens: tokens(system) + tokens(user),
      completion_tokens: tokens(answer),
      total_tokens: tokens(system) + tokens(user) + tokens(answer),
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify({
        id: 'scripted',
        object: 'chat.completion',
        created: 0,
        model: 'scripted',
        choices: [{ index: 0, message: { role: 'assistant', content: answer }, finish_reason: 'stop' }],
        ...(countTokens ? { usage } : {}),
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
