/** `espalier serve`: classifiers and encoders over HTTP. */
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { InputError } from '../../util/errors.ts'
import { examples } from '../examples.ts'
import { plural } from '../format.ts'
import { bytesIn, collect, numberIn, wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'

interface ServeFlags {
  host: string
  port: number
  apiKeyEnv?: string
  insecure?: boolean
  cors?: string[]
  workers?: number
  threads?: number
  watch: number
  maxBody: number
  maxTexts: number
  maxTextLength: number
  maxQueue: number
  maxRequests: number
  batch: number
  timeLimit: number
  receiveLimit: number
  stopLimit: number
}

export function configure(command: Command, session: Session): void {
  const count = (option: string) => wholeIn(option, { least: 1 })
  const seconds = (option: string) => numberIn(option, { least: 0, open: true, most: 3600 })
  command
    .usage('MODEL... [--port N] [--host HOST] [--api-key-env NAME]')
    .argument('<MODEL...>', "a model's folder, hf:ORG/NAME, or NAME=FOLDER; the first answers requests that name none")
    .option('--port <N>', 'port; 0 lets the system choose', wholeIn('--port', { least: 0, most: 65_535 }), 8080)
    .option('--host <HOST>', 'address to listen on; others than this machine need a key', '127.0.0.1')
    .option('--api-key-env <NAME>', 'environment variable that holds the key which requests must bring')
    .option('--insecure', 'listen on any address without a key')
    .option('--cors <ORIGIN>', 'origin whose pages may ask, or *; may be given several times', collect)
    .option(
      '--workers <N>',
      'inference threads of each model, each with the model in memory (default: 1; for ngram models one for each core, up to 4)',
      count('--workers'),
    )
    .option('--threads <N>', "threads inside one inference (default: the machine's cores)", count('--threads'))
    .option('--watch <SECONDS>', 'look for a replaced model this often; 0: never', numberIn('--watch', { least: 0 }), 1)
    .option('--batch <N>', 'texts that run together', count('--batch'), 64)
    .option('--max-body <SIZE>', 'largest request body, such as 4MB', bytesIn('--max-body'), 4_000_000)
    .option('--max-texts <N>', 'most texts in a request', count('--max-texts'), 256)
    .option('--max-text-length <N>', 'most characters in a text', count('--max-text-length'), 100_000)
    .option('--max-queue <N>', 'most texts that wait for a model; more are refused (429)', count('--max-queue'), 2048)
    .option('--max-requests <N>', 'most requests in progress; more are refused (429)', count('--max-requests'), 512)
    .option('--time-limit <SECONDS>', 'longest time to an answer', seconds('--time-limit'), 30)
    .option('--receive-limit <SECONDS>', 'longest time to receive a request', seconds('--receive-limit'), 20)
    .option('--stop-limit <SECONDS>', 'longest time to finish requests when stopping', seconds('--stop-limit'), 10)
    .addHelpText(
      'after',
      examples([
        'espalier serve model',
        'espalier serve intents=model vectors=hf:sentence-transformers/all-MiniLM-L6-v2',
        'KEY=... espalier serve model --host 0.0.0.0 --api-key-env KEY',
      ]),
    )
    .action((models: string[], flags: ServeFlags) => runServe(models, flags, session))
}

async function runServe(entries: string[], flags: ServeFlags, session: Session): Promise<void> {
  const apiKey = keyOf(flags)
  const { jsonLog, listen, modelEntry, serveApp } = await import('../../serve/index.ts')
  const { checkBinding } = await import('../../serve/access.ts')
  checkBinding(flags.host, apiKey !== undefined, flags.insecure === true) // before models are loaded
  const log = jsonLog((line) => process.stderr.write(line))
  const models = entries.map(modelEntry)
  const limits = {
    bodyBytes: flags.maxBody,
    requestTexts: flags.maxTexts,
    textLength: flags.maxTextLength,
    queueTexts: flags.maxQueue,
    requests: flags.maxRequests,
    batchTexts: flags.batch,
    seconds: flags.timeLimit,
    receiveSeconds: flags.receiveLimit,
    stopSeconds: flags.stopLimit,
  }
  const served = await serveApp({
    limits,
    ...(flags.workers === undefined ? {} : { workers: flags.workers }),
    threads: flags.threads ?? availableParallelism(),
    watchSeconds: flags.watch,
    log,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(flags.cors === undefined ? {} : { cors: flags.cors }),
  })
  try {
    for (const { name, source } of models) await served.models.add(name, source)
    const server = await listen(served.app, {
      host: flags.host,
      port: flags.port,
      hasKey: apiKey !== undefined,
      insecure: flags.insecure === true,
      limits,
      signal: session.run.signal,
      onStopping() {
        served.stopping()
        log('info', 'stopping')
      },
    })
    session.settle()
    log('info', 'listening', { url: server.url, models: served.models.names })
    if (session.json) await session.printJson({ url: server.url, models: served.models.names })
    else
      await session.print(
        `serving ${plural(served.models.names.length, 'model')} on ${server.url}: ${served.models.names.join(', ')}`,
      )
    await server.closed
    log('info', 'stopped')
  } finally {
    await served.close()
  }
}

function keyOf({ apiKeyEnv }: ServeFlags): string | undefined {
  if (apiKeyEnv === undefined) return undefined
  const key = process.env[apiKeyEnv]
  if (key !== undefined && key.trim() !== '') return key
  throw new InputError('KEY_MISSING', `The environment variable ${apiKeyEnv} is not set or empty`, {
    where: { key: '--api-key-env' },
    help: 'set it to a long random text, for example from: openssl rand -hex 32',
  })
}
