import { describe, expect, it } from 'vitest'
import { progressText, progressView } from './progress-line.ts'
import { painter } from './terminal.ts'
import { textWidth } from './text-width.ts'

const terminal = { interactive: true, columns: 80, paint: painter(false) }

function recording(mode: 'line' | 'log' | 'json') {
  const written: string[] = []
  const clock = { time: 0 }
  const view = progressView({ mode, terminal, write: (text) => written.push(text), now: () => clock.time })
  return { written, clock, view }
}

describe('the moving line', () => {
  it('shows done, total, rate, estimate and the number that matters', () => {
    const progress = { step: 'train', done: 7200, total: 15_000, unit: 'rows', metrics: { loss: 0.3123 } }
    const pace = { elapsedSeconds: 2, perSecond: 3650, remainingSeconds: 2.1 }
    expect(progressText(progress, pace, terminal, true)).toBe(
      'train  ███████░░░░░░░░  7,200/15,000 rows  3,650 rows/s  2.1 s left  loss 0.312',
    )
  })

  it.each([40, 60, 79])('fits %i columns and keeps step, count and the number', (columns) => {
    const progress = { step: 'train', done: 7200, total: 15_000, unit: 'rows', metrics: { 'dev path': 0.931, loss: 1 } }
    const pace = { elapsedSeconds: 2, perSecond: 3650, remainingSeconds: 2.1 }
    const line = progressText(progress, pace, { ...terminal, columns }, true)
    expect(textWidth(line)).toBeLessThan(columns)
    expect(line).toMatch(/^train .*7,200\/15,000.*dev path 0\.931/)
  })

  it('is drawn ten times a second at most, and vanishes with its step', () => {
    const { written, clock, view } = recording('line')
    for (let done = 0; done <= 100; done++) {
      clock.time = done / 100
      view.report({ step: 'train', done, total: 100 })
    }
    view.finish()
    expect(written.filter((text) => text.includes('train')).length).toBeLessThanOrEqual(11)
    expect(written.at(-1)).toBe('\r\x1b[K')
  })

  it('goes on while the work is silent', () => {
    const { written, clock, view } = recording('line')
    view.report({ step: 'load', done: 0, total: 3 })
    for (clock.time = 0.5; clock.time < 4; clock.time += 0.5) view.tick()
    expect(written).toHaveLength(4)
    expect(written.at(-1)).toContain('3.0 s')
  })

  it('makes way for a note', () => {
    const { written, view } = recording('line')
    view.report({ step: 'train', done: 1, total: 2 })
    view.report({ step: 'train', done: 1, total: 2, note: 'native runtime missing' })
    expect(written.slice(1, 3)).toEqual(['\r\x1b[K', 'native runtime missing\n'])
  })
})

describe('progress in a log', () => {
  it('is a line every ten seconds and one at the end, none for short steps', () => {
    const { written, clock, view } = recording('log')
    view.report({ step: 'read', done: 1, total: 1 })
    for (let second = 0; second <= 25; second++) {
      clock.time = second
      view.report({ step: 'train', done: second * 10, total: 250, unit: 'rows' })
    }
    view.finish()
    expect(written).toEqual([
      'train  100/250 rows  10 rows/s  15 s left\n',
      'train  200/250 rows  10 rows/s  5.0 s left\n',
      'train  250/250 rows  10 rows/s\n',
    ])
  })

  it('goes on while the work is silent', () => {
    const { written, clock, view } = recording('log')
    view.report({ step: 'load', done: 1, total: 3 })
    for (clock.time = 1; clock.time <= 25; clock.time++) view.tick()
    expect(written).toEqual(['load  1/3  10 s\n', 'load  1/3  20 s\n'])
  })

  it('measures the rate from where a resumed run begins', () => {
    const { written, clock, view } = recording('log')
    view.report({ step: 'train', done: 900, total: 1000, unit: 'steps' })
    clock.time = 10
    view.report({ step: 'train', done: 950, total: 1000, unit: 'steps' })
    expect(written).toEqual(['train  950/1,000 steps  5 steps/s  10 s left\n'])
  })
})

it('progress for programs is one JSON object a line, first and last state of every step included', () => {
  const { written, clock, view } = recording('json')
  view.report({ step: 'train', done: 1, total: 3, metrics: { loss: 2 }, note: 'one thread' })
  clock.time = 0.5
  view.report({ step: 'train', done: 3, total: 3, metrics: { loss: 1 } })
  view.finish()
  expect(written.map((line) => JSON.parse(line))).toEqual([
    { step: 'train', note: 'one thread' },
    { step: 'train', done: 1, total: 3, metrics: { loss: 2 }, elapsedSeconds: 0 },
    { step: 'train', done: 3, total: 3, metrics: { loss: 1 }, elapsedSeconds: 0.5, perSecond: 4, remainingSeconds: 0 },
  ])
})
