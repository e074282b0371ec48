/** The words that start this program here, so that a printed command can be typed as it stands. */
import { basename, relative } from 'node:path'

export function commandName(env: NodeJS.ProcessEnv = process.env, script = process.argv[1] ?? ''): string {
  if (env['npm_command'] === 'exec') return 'npx espalier'
  if (basename(script) !== 'main.js') return 'espalier'
  const path = relative(process.cwd(), script)
  return `node ${path.startsWith('..') ? script : path}`
}

/** A word as a shell takes it. */
export function shellWord(word: string): string {
  return /^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** The command as it was typed, for records. */
export const typedCommand = (): string => ['espalier', ...process.argv.slice(2)].map(shellWord).join(' ')
