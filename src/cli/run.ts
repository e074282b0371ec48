/** Runs one command line: finds the verb, parses its options, runs it, and turns every outcome into an exit status. */

import { Command, CommanderError } from 'commander'
import { InputError } from '../util/errors.ts'
import { nearest } from '../util/suggest.ts'
import { version } from '../util/version.ts'
import { commands } from './commands/index.ts'
import { examples } from './examples.ts'
import { openSession, type Session } from './session.ts'
import { usageError } from './usage.ts'

const widestHelp = 100

/** Returns the exit status: 0 done, 1 it failed, 2 the input or the usage is wrong. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const words = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  const session = openSession({ json: words.includes('--json'), debug: words.includes('--debug') })
  // Faults outside of the command's own promise, such as a full disk behind stdout.
  process.on('uncaughtException', (error) => process.exit(session.fail(error)))
  // `espalier help VERB` is `espalier VERB --help`.
  const args = argv[0] === 'help' ? (argv.length > 1 ? [argv[1]!, '--help'] : ['--help']) : [...argv]
  const verb = commands.find(({ name }) => name === args[0])
  try {
    const program = await buildProgram(verb?.name, session)
    if (args.length === 0) program.outputHelp()
    else if (verb === undefined && !args[0]!.startsWith('-')) throw unknownVerb(args[0]!)
    else await parse(program, args, verb?.name)
    session.settle()
    return 0
  } catch (error) {
    return session.fail(error)
  }
}

async function parse(program: Command, args: string[], verb: string | undefined): Promise<void> {
  const command = program.commands.find((candidate) => candidate.name() === verb) ?? program
  try {
    checkValues(command, args)
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return // help and version have been printed
    throw usageError(error, command)
  }
}

/** Commander takes whatever follows for the value of an option; another option there means that the value was forgotten. */
function checkValues(command: Command, args: readonly string[]): void {
  const known = new Set(command.options.flatMap(({ long }) => long ?? []))
  for (const [index, word] of args.entries()) {
    if (word === '--') return
    const option = command.options.find(({ long }) => long === word)
    if (option?.required && known.has(args[index + 1] ?? ''))
      throw new InputError('USAGE', `Option ${word} needs a value`, { help: `see: espalier ${command.name()} --help` })
  }
}

async function buildProgram(verb: string | undefined, session: Session): Promise<Command> {
  const program = new Command('espalier')
    .description('Text and a label tree in, a trained classifier out.')
    .usage('VERB [ARGS] [--json]')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeErr: () => undefined, // errors are printed by the session
      getOutHelpWidth: () => Math.min(session.stdout.columns, widestHelp),
      getOutHasColors: () => true, // `paint` decides
    })
    .configureHelp({
      styleTitle: (text) => session.stdout.paint('bold', text),
      styleUsage: (text) => text,
      subcommandTerm: (command) => command.name(),
    })
    .addHelpText('after', examples(['espalier demo', 'espalier train data.csv --out model', 'espalier help train']))
  for (const entry of commands) {
    const command = program.command(entry.name).description(entry.summary)
    if (entry.name !== verb) continue
    const { configure } = await entry.load()
    configure(command, session)
    command
      .option('--json', 'print the result as one JSON document, progress as JSON lines on stderr')
      .option('--debug', 'show where in the program an error arose')
  }
  return program
}

function unknownVerb(name: string): InputError {
  const names = commands.map((command) => command.name)
  const guess = nearest(name, names)
  return new InputError('USAGE', `There is no verb "${name}"`, {
    help: guess === undefined ? `verbs: ${names.join(', ')}` : `did you mean "${guess}"?`,
  })
}
