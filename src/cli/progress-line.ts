/** Progress of long work on stderr: one moving line on a terminal, a line every ten seconds in a log, JSON lines for programs. */
import type { Progress } from '../util/progress.ts'
import { formatCount, formatNumber, formatRate, formatScore, formatSeconds } from './format.ts'
import type { Terminal } from './terminal.ts'
import { printable, textWidth, truncate } from './text-width.ts'

export interface ProgressView {
  report(progress: Progress): void
  /** Call now and then: work that is long silent is shown again, with the time that has passed. */
  tick(): void
  /** Removes the moving line, so that other output can be written; the next report draws it again. */
  clear(): void
  /** The last report of the step that runs. */
  last(): Progress | undefined
  /** Ends the view: the last state of a step that was told before is told once more. */
  finish(): void
}

export interface ViewOptions {
  mode: 'line' | 'log' | 'json'
  terminal: Terminal
  write: (text: string) => void
  /** Seconds, from any origin. */
  now?: () => number
}

/** Seconds between two drawings of the moving line, two lines of a log, and two JSON lines of one step. */
const intervals = { line: 0.1, log: 10, json: 1 }

interface Step {
  name: string
  startedAt: number
  /** `done` when the step was first seen: a resumed run does not start at 0, and its rate must not count what was done before. */
  from: number
  shownAt: number
  last: Progress
  /** The last state has been shown. */
  shown: boolean
  /** Some state has been shown. */
  told: boolean
}

export function progressView({
  mode,
  terminal,
  write,
  now = () => performance.now() / 1000,
}: ViewOptions): ProgressView {
  let step: Step | undefined
  let drawn = false

  const show = (state: Step): void => {
    state.shown = true
    state.told = true
    state.shownAt = now()
    const pace = paceOf(state, now())
    if (mode === 'json') write(`${JSON.stringify({ ...state.last, ...pace })}\n`)
    else if (mode === 'log') write(`${progressText(state.last, pace, { ...terminal, columns: 1000 }, false)}\n`)
    else {
      write(`\r${progressText(state.last, pace, terminal, true)}\x1b[K`)
      drawn = true
    }
  }
  const clear = (): void => {
    if (drawn) write('\r\x1b[K')
    drawn = false
  }
  const close = (): void => {
    // The moving line vanishes with its step; logs say how a step ended if they said that it ran.
    if (step && !step.shown && ((mode === 'log' && step.told) || mode === 'json')) show(step)
    clear()
    step = undefined
  }
  return {
    report(progress) {
      const { note, ...state } = progress
      const time = now()
      if (step && (step.name !== progress.step || progress.done < step.last.done)) close()
      if (note !== undefined) {
        clear()
        write(mode === 'json' ? `${JSON.stringify({ step: progress.step, note })}\n` : `${printable(note)}\n`)
      }
      if (!step) {
        // A log keeps quiet about steps that end within its interval; the others show a step at once.
        const shownAt = mode === 'log' ? time : Number.NEGATIVE_INFINITY
        step = {
          name: progress.step,
          startedAt: time,
          from: progress.done,
          shownAt,
          last: state,
          shown: false,
          told: false,
        }
      }
      step.last = state
      step.shown = false
      if (time - step.shownAt >= intervals[mode]) show(step)
    },
    tick() {
      const silence = mode === 'line' ? 1 : intervals.log
      if (step && mode !== 'json' && now() - step.shownAt >= silence) show(step)
    },
    clear,
    last: () => step?.last,
    finish: close,
  }
}

interface Pace {
  elapsedSeconds: number
  perSecond?: number
  remainingSeconds?: number
}

function paceOf({ startedAt, from, last }: Step, time: number): Pace {
  const elapsed = time - startedAt
  const done = last.done - from
  const round = (value: number) => Number(value.toPrecision(4))
  if (elapsed < 0.2 || done <= 0) return { elapsedSeconds: round(elapsed) }
  const perSecond = done / elapsed
  return {
    elapsedSeconds: round(elapsed),
    perSecond: round(perSecond),
    ...(last.total === undefined ? {} : { remainingSeconds: round(Math.max(0, last.total - last.done) / perSecond) }),
  }
}

/** `train 7,200/15,000 rows`. */
export function placeOf({ step, done, total, unit = '' }: Progress): string {
  return `${step} ${total === undefined ? formatCount(done) : `${formatCount(done)}/${formatCount(total)}`} ${unit}`.trim()
}

const barCells = 15

/** `train  ███████░░░  7,200/15,000 rows  3,650 rows/s  2 s left  loss 0.31`; the bar, the rate and the unit give way where it is too wide. */
export function progressText(progress: Progress, pace: Pace, terminal: Terminal, withBar: boolean): string {
  const { step, done, total, unit = '', metrics = {} } = progress
  const { paint, columns } = terminal
  const share = total ? Math.min(1, done / total) : 0
  const filled = Math.round(share * barCells)
  const bar = withBar && total ? paint('green', '█'.repeat(filled)) + paint('dim', '░'.repeat(barCells - filled)) : ''
  const count = placeOf({ step: '', done, total }).trim()
  const rate = pace.perSecond === undefined || unit === '' ? '' : formatRate(pace.perSecond, unit)
  const waited = pace.perSecond === undefined && pace.elapsedSeconds >= 2 ? formatSeconds(pace.elapsedSeconds) : ''
  const left =
    pace.remainingSeconds === undefined || done === total ? '' : `${formatSeconds(pace.remainingSeconds)} left`
  const numbers = Object.entries(metrics).map(([name, value]) => `${name} ${formatMetric(name, value)}`)
  const layouts = [
    [step, bar, `${count} ${unit}`.trim(), rate, left, waited, ...numbers],
    [step, `${count} ${unit}`.trim(), rate, left, waited, ...numbers],
    [step, count, left, ...numbers],
    [step, count, ...numbers.slice(0, 1)],
  ].map((parts) => parts.filter((part) => part !== '').join('  '))
  const fitting = layouts.find((line) => textWidth(line) < columns)
  return fitting ?? truncate(layouts.at(-1)!, columns - 1)
}

const formatMetric = (name: string, value: number): string =>
  /loss|lr|rate|epoch|step/i.test(name) || value < 0 || value > 1 ? formatNumber(value) : formatScore(value)
