/** `espalier systems`: the methods with their sources, status and options, read from the methods themselves. */
import type { Command } from 'commander'
import { examples } from '../examples.ts'
import { describeOptions, describeType } from '../method-options.ts'
import { allMethods, findMethod, type MethodFactory } from '../methods.ts'
import type { Session } from '../session.ts'
import { facts } from '../table.ts'
import { wrap } from '../text-width.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[NAME] [--json]')
    .argument('[NAME]', 'one method; without it, all of them')
    .addHelpText(
      'after',
      examples(['espalier systems', 'espalier systems conditional-softmax', 'espalier systems --json']),
    )
    .action((name: string | undefined) => showSystems(name, session))
}

async function showSystems(name: string | undefined, session: Session): Promise<void> {
  const methods = await allMethods()
  // Two verbs may have a method of one name.
  const named = methods.filter(({ info }) => info.name === name)
  const shown = name === undefined ? methods : named.length > 1 ? named : [findMethod(methods, name)]
  if (session.json) {
    const described = shown.map(describeMethod)
    return session.printJson(name === undefined || shown.length > 1 ? { systems: described } : described[0])
  }
  const { paint, columns } = session.stdout
  for (const [index, method] of shown.entries()) {
    const { info } = method
    const room = columns - 11
    const lines = [
      `${paint('bold', info.name)}  ${paint('dim', `${info.verb} · ${info.status}`)}`,
      ...facts(
        [
          ['what', wrap(info.summary, room)],
          ['source', wrap(info.source, room)],
          ...(info.results === undefined ? [] : [['results', info.results] as const]),
          ['options', optionLines(method).flatMap((line) => wrap(line, room))],
        ],
        (label) => `  ${paint('dim', label)}`,
      ),
    ]
    await session.print(...(index > 0 ? ['', ...lines] : lines))
  }
  if (name === undefined) await session.print('', 'use one with: espalier train DATA --out DIR --method NAME')
}

function describeMethod({ info, schema }: MethodFactory): Record<string, unknown> {
  return { ...info, options: describeOptions(schema) }
}

function optionLines({ schema }: MethodFactory): string[] {
  const options = describeOptions(schema)
  if (options.length === 0) return ['none']
  return options.map((option) => {
    const fallback = option.required ? 'required' : `default ${JSON.stringify(option.default) ?? 'none'}`
    const description = option.description === undefined ? '' : `: ${option.description}`
    return `${option.name}  ${describeType(option)}, ${fallback}${description}`
  })
}
