/** `espalier studio`: a page over a folder of runs, served to this machine. */
import type { Command } from 'commander'
import { examples } from '../examples.ts'
import { wholeIn } from '../option-values.ts'
import type { Session } from '../session.ts'

interface StudioFlags {
  host: string
  port: number
  insecure?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[DIR] [--port 8090] [--host 127.0.0.1] [--json]')
    .argument(
      '[DIR]',
      'folder of runs: trained and merged models, unfinished trainings, reports in JSON (default: here)',
    )
    .option('--port <N>', 'port; 0 lets the system choose', wholeIn('--port', { least: 0, most: 65_535 }), 8090)
    .option('--host <HOST>', 'address to listen on; others than this machine need --insecure', '127.0.0.1')
    .option('--insecure', 'listen on any address: whoever reaches it reads the runs and the data below DIR')
    .addHelpText('after', examples(['espalier studio', 'espalier studio runs --port 9000']))
    .action((folder: string | undefined, flags: StudioFlags) => runStudio(folder ?? '.', flags, session))
}

async function runStudio(folder: string, flags: StudioFlags, session: Session): Promise<void> {
  const { checkBinding } = await import('../../serve/access.ts')
  const { listen } = await import('../../serve/listen.ts')
  const { studioApp } = await import('../../serve/studio/studio-app.ts')
  const insecure = flags.insecure === true
  checkBinding(flags.host, false, insecure)
  const studio = await studioApp({ folder })
  try {
    const server = await listen(studio.app, {
      host: flags.host,
      port: flags.port,
      insecure,
      limits: { stopSeconds: 1 },
      signal: session.run.signal,
      onStopping: studio.stopping,
    })
    session.settle()
    if (session.json) await session.printJson({ url: server.url, folder: studio.folder, runs: studio.runs })
    else await session.print(`studio over ${folder} (${studio.runs} runs): ${server.url}`, 'Ctrl-C stops it')
    await server.closed
  } finally {
    await studio.close()
  }
}
