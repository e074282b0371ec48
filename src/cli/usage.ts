/** Wrong usage as typed errors: what commander finds, in our words, with "did you mean". */
import type { Command, CommanderError } from 'commander'
import { InputError } from '../util/errors.ts'
import { didYouMean } from '../util/suggest.ts'

const quoted = (text: string): string | undefined => /'([^']*)'/.exec(text)?.[1]

/** The error for what commander refused. `command` is the one that was being parsed. */
export function usageError(error: CommanderError, command: Command): InputError {
  const subject = quoted(error.message) ?? ''
  const help = `see: ${fullName(command)} --help`
  const fail = (message: string, advice = help) => new InputError('USAGE', message, { help: advice })
  switch (error.code) {
    case 'commander.unknownOption': {
      const known = command.options.flatMap((option) => (option.long ? [option.long] : []))
      return fail(`Unknown option ${subject}`, didYouMean(subject, [...known, '--help'], help))
    }
    case 'commander.missingArgument':
      return fail(`${subject.toUpperCase()} is missing`, `usage: ${fullName(command)} ${command.usage()}`)
    case 'commander.optionMissingArgument':
      return fail(`Option ${subject.split(' ')[0]} needs a value`)
    case 'commander.missingMandatoryOptionValue':
      return fail(`Option ${subject} is missing`)
    case 'commander.excessArguments':
      return fail('More arguments than expected', `usage: ${fullName(command)} ${command.usage()}`)
    case 'commander.conflictingOption':
      return fail(error.message.replace(/^error: /, ''))
    default:
      return fail(error.message.replace(/^error: /, ''))
  }
}

function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name()
}
