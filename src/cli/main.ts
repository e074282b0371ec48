#!/usr/bin/env node
/** The command line's entry. */
import { runCli } from './run.ts'

// A reader that closes the pipe early (`| head`) has what it wanted.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

process.exitCode = await runCli(process.argv.slice(2))
