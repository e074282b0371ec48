import { describe, expect, it } from 'vitest'
import { colorWanted, terminalOf } from './terminal.ts'

describe('terminal', () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [false, { FORCE_COLOR: '1' }, true],
    [false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
    [true, { FORCE_COLOR: '0' }, false],
  ])('interactive %s with %j is in colour: %s', (interactive, env, wanted) => {
    expect(colorWanted(interactive, env)).toBe(wanted)
  })

  it('has 80 columns where none are known and no moving line on a dumb terminal', () => {
    expect(terminalOf({}, {})).toMatchObject({ interactive: false, columns: 80 })
    expect(terminalOf({ isTTY: true, columns: 132 }, {})).toMatchObject({ interactive: true, columns: 132 })
    expect(terminalOf({ isTTY: true, columns: 132 }, { TERM: 'dumb' }).interactive).toBe(false)
    expect(terminalOf({ isTTY: true, columns: 80 }, {}).paint('red', 'x')).toBe('\x1b[31mx\x1b[39m')
  })
})
