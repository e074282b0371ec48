/** What an output stream can show: whether it is a terminal, how wide, and whether in colour (NO_COLOR and FORCE_COLOR honoured). */
import type { WriteStream } from 'node:tty'

export interface Terminal {
  readonly interactive: boolean
  readonly columns: number
  readonly paint: Paint
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
/** Text in a style, or the text itself where colours are off. */
export type Paint = (style: Style, text: string) => string

const codes: Record<Style, readonly [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

/** Where output is not a terminal, lines are laid out for this many columns. */
const defaultColumns = 80

export function terminalOf(stream: Partial<WriteStream>, env: NodeJS.ProcessEnv = process.env): Terminal {
  const interactive = stream.isTTY === true && env['TERM'] !== 'dumb'
  return {
    interactive,
    columns: Math.max(40, (interactive ? stream.columns : undefined) || defaultColumns),
    paint: painter(colorWanted(interactive, env)),
  }
}

/** FORCE_COLOR decides where it is set (0 and false: off), then NO_COLOR, then whether it is a terminal. */
export function colorWanted(interactive: boolean, env: NodeJS.ProcessEnv): boolean {
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  if (env['NO_COLOR']) return false
  return interactive
}

export function painter(enabled: boolean): Paint {
  return (style, text) => {
    const [on, off] = codes[style]
    return enabled ? `\x1b[${on}m${text}\x1b[${off}m` : text
  }
}
