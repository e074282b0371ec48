import { expect, it } from 'vitest'
import { document, espalier } from './espalier.ts'

it('lists every method with its source, status and options', async () => {
  const { systems } = await document(['systems'])
  expect(systems.map(({ name }: { name: string }) => name)).toEqual(
    expect.arrayContaining(['flat', 'conditional-softmax', 'per-node']),
  )
  for (const system of systems)
    expect(system).toEqual({
      name: expect.stringMatching(/^[a-z][a-z0-9-]*$/),
      verb: expect.any(String),
      status: expect.stringMatching(/^(works|partial)$/),
      summary: expect.any(String),
      source: expect.any(String),
      options: expect.any(Array),
      ...(system.results === undefined ? {} : { results: expect.stringMatching(/^docs\/results\/.*\.md$/) }),
    })
})

it('describes one method, with types, ranges and defaults of its options', async () => {
  const options = [{ name: 'logitAdjustment', type: 'number', required: false, default: 0, least: 0, most: 10 }]
  expect(await document(['systems', 'conditional-softmax'])).toMatchObject({ name: 'conditional-softmax', options })
  const { stdout } = await espalier(['systems', 'conditional-softmax'])
  expect(stdout).toContain('logitAdjustment  number from 0 to 10, default 0')
})
