/** The curl commands of docs/serve.md, as they stand there, against the command line's server. */
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { main } from '../cli/espalier.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { ticketModels } from './serving.ts'

const { folder, write } = temporaryFolder()
let models: { ngram: string; mini: string }
beforeAll(async () => {
  models = await ticketModels(folder, write)
}, 120_000)

const page = readFileSync(new URL('../../docs/serve.md', import.meta.url), 'utf8')
/** The commands of each block of the page. */
const blocks = [...page.matchAll(/```sh no-run\n([\s\S]*?)```/g)].map(([, code]) =>
  [...code!.replaceAll('\\\n', ' ').matchAll(/^curl .*$/gm)].map(([command]) => command),
)
const [ofClassifier, ofEncoder] = blocks.filter((commands) => commands.length > 0)

const hasCurl = await promisify(execFile)('curl', ['--version']).then(
  () => true,
  () => false,
)
if (!hasCurl) console.warn('curl test skipped: no curl found')

/** Starts the server, runs commands with its port in place of 8080, and stops it. Returns what they print. */
async function run(model: string, commands: readonly string[]): Promise<string[]> {
  const child = spawn(process.execPath, [main, 'serve', model, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve))
  const started = new Promise<string>((resolve) => {
    let out = ''
    child.stdout.on('data', (part) => {
      out += part
      if (out.endsWith('}\n')) resolve(out)
    })
  })
  const { url } = JSON.parse(await started) as { url: string }
  const printed: string[] = []
  for (const command of commands) {
    const settled = command.replace('localhost:8080', new URL(url).host).replace('curl -s', 'curl -s --fail-with-body')
    printed.push((await promisify(execFile)('sh', ['-c', settled])).stdout)
  }
  child.kill('SIGTERM')
  expect(await closed).toBe(0)
  return printed
}

describe.skipIf(!hasCurl)('curl, as docs/serve.md shows it', () => {
  it('asks a classifier', async () => {
    const [health, one, two, predicted, metrics] = await run(models.ngram, ofClassifier!)
    expect(JSON.parse(health!).status).toBe('ok')
    expect(JSON.parse(one!).data[0].top).toHaveLength(3)
    expect(JSON.parse(two!).data.map(({ index }: { index: number }) => index)).toEqual([0, 1])
    expect(JSON.parse(predicted!)).toHaveLength(2)
    expect(metrics).toMatch(/^espalier_requests_total\{route="\/predict",status="200"\} 1$/m)
  })

  it('asks an encoder', async () => {
    const [embeddings, vectors, ranks] = await run(models.mini, ofEncoder!)
    expect(JSON.parse(embeddings!).data).toHaveLength(2)
    expect(JSON.parse(vectors!)[0]).toHaveLength(128)
    expect(
      JSON.parse(ranks!)
        .map(({ index }: { index: number }) => index)
        .sort(),
    ).toEqual([0, 1])
  })
})
