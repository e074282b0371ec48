import { describe, expect, it } from 'vitest'
import { scalarsOf, settle } from './settings.ts'

describe('settings', () => {
  it('gives a plain value to every tensor', () => {
    expect(settle(0.3, 'any', 0.5)).toBe(0.3)
    expect(settle(false, 'any', 0.5)).toBe(false)
  })

  it('interpolates gradients from the first layer to the last', () => {
    const gradient = [0, 0.5, 0.3, 0.7, 1]
    expect(settle(gradient, 'x', 0)).toBe(0)
    expect(settle(gradient, 'x', 1)).toBe(1)
    expect(settle(gradient, 'x', 0.25)).toBe(0.5)
    expect(settle(gradient, 'x', 0.625)).toBeCloseTo(0.5, 12)
    expect(settle([0.4], 'x', 1)).toBe(0.4)
  })

  it('picks among values that are no numbers', () => {
    expect(settle([true, false], 'x', 0.9)).toBe(true)
    expect(settle([true, false], 'x', 1)).toBe(false)
  })

  it('takes the first condition whose filter is part of the name', () => {
    const setting = [{ filter: 'self_attn', value: [0, 1] }, { filter: 'mlp', value: 0.25 }, { value: 0.5 }]
    expect(settle(setting, 'model.layers.3.self_attn.q_proj.weight', 0.5)).toBe(0.5)
    expect(settle(setting, 'model.layers.3.mlp.up_proj.weight', 0.5)).toBe(0.25)
    expect(settle(setting, 'model.norm.weight', 0)).toBe(0.5)
    expect(settle([{ filter: 'mlp', value: 1 }], 'model.norm.weight', 0)).toBeUndefined()
    expect(settle({ filter: '*', value: 2 }, 'model.norm.weight', 0)).toBe(2)
  })

  it('lists every scalar', () => {
    expect(scalarsOf([{ filter: 'a', value: [1, 2] }, { value: 3 }])).toEqual([1, 2, 3])
    expect(scalarsOf(true)).toEqual([true])
  })
})
