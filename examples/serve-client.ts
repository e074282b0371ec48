/**
 * A client of `espalier serve` with nothing but fetch: trains a small model, serves it, asks it, and waits when the server is busy.
 *
 *     npx tsx examples/serve-client.ts
 */
import { datasetOf, train } from 'espalier'
import { listen, serveApp } from 'espalier/serve'

interface Classified {
  path: string[]
  confidence: number[]
  abstained: boolean
}

/** Asks for the label paths of texts; comes back when a busy server (429) says so. */
async function classify(url: string, texts: string[], minConfidence = 0): Promise<Classified[]> {
  for (;;) {
    const response = await fetch(`${url}/v1/classify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: texts, min_confidence: minConfidence }),
    })
    if (response.status === 429) {
      const seconds = Number(response.headers.get('retry-after') ?? 1)
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
      continue
    }
    const answer = (await response.json()) as { data: Classified[]; error?: { code: string; message: string } }
    if (answer.error) throw new Error(`${answer.error.code}: ${answer.error.message}`)
    return answer.data
  }
}

const phrases = {
  refund: ['money back please', 'refund my order', 'I want a refund', 'return the payment'],
  crash: ['the app crashes', 'it closes by itself', 'crash after the update', 'the screen freezes'],
}
const rows = Object.entries(phrases).flatMap(([topic, texts]) =>
  texts.map((text) => ({ text, labels: [[topic === 'refund' ? 'billing' : 'app', topic]] })),
)
const out = process.argv[2] ?? 'tickets-model'
await train(datasetOf(rows), { out, force: true })

const served = await serveApp({ models: { tickets: out } })
const server = await listen(served.app, { port: 0, onStopping: served.stopping, onStop: served.close })
for (const { path, confidence } of await classify(server.url, ['please refund me', 'it crashes again']))
  console.log(`${path.join(' › ')} ${confidence.at(-1)!.toFixed(2)}`)
await server.close()
