import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure } from './espalier.ts'
import { jsonl, tickets, trainedModel } from './tickets.ts'

const { folder, write } = temporaryFolder()
const text = 'where is <b>my invoice</b>'
let model = ''
beforeAll(async () => {
  model = await trainedModel(folder, write)
})

interface Token {
  text: string
  start: number
  end: number
  value: number
}

describe('explain', () => {
  it('--json gives tokens with offsets and values that sum to the score', async () => {
    const { explanations } = await document(['explain', model, text, 'a freeze'])
    expect(explanations).toHaveLength(2)
    const [first] = explanations
    expect(first).toMatchObject({ text, method: 'linear', label: ['billing', 'invoice'], truncated: false })
    const tokens = first.tokens as Token[]
    for (const token of tokens) expect(text.slice(token.start, token.end)).toBe(token.text)
    const sum = tokens.reduce((total, { value }) => total + value, 0)
    expect(first.score.base + sum).toBeCloseTo(first.score.value, 4)
    const strongest = tokens.reduce((best, token) => (token.value > best.value ? token : best))
    expect(strongest.text).toBe('invoice')
  })

  it('takes a method, its options, a label and a score; the same seed gives the same values', async () => {
    const args = ['explain', model, text, '--method', 'lime', '--method-option', 'samples=200', '--seed', '3']
    const asked = [...args, '--label', 'billing', '--score', 'probability']
    const [a, b] = [await document(asked), await document(asked)]
    expect(a).toEqual(b)
    expect(a.explanations[0]).toMatchObject({ method: 'lime', label: ['billing'], score: { kind: 'probability' } })
    const path = await document(['explain', model, text, '--label', 'billing › refund'])
    expect(path.explanations[0].label).toEqual(['billing', 'refund'])
  })

  it('says the same to people in 80 columns, and writes a page that stands alone', async () => {
    const page = join(folder, 'why.html')
    const { status, stdout, stderr } = await espalier(['explain', model, text, '--html', page])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('billing › invoice')
    expect(stdout).toMatch(/^ {2}invoice +\+\d/m)
    for (const line of stdout.split('\n')) expect([...line].length).toBeLessThanOrEqual(80)
    const html = readFileSync(page, 'utf8')
    expect(html).toContain('&lt;')
    expect(html).not.toContain('<b>my')
    expect(html).not.toMatch(/<script|https?:/)
    expect(html).toContain('prefers-color-scheme: dark')
  })

  it.each([
    [['--label', 'billing › nothing'], 'LABEL_UNKNOWN'],
    [['--method', 'limes'], 'METHOD_UNKNOWN'],
    [['--method', 'lime', '--method-option', 'samples=1'], 'METHOD_OPTION'],
    [['--method-option', 'samples=100'], 'USAGE'],
    [['--method', 'integrated-gradients'], 'EXPLAIN_METHOD'],
    [['--label', 'billing', '--score', 'logit'], 'EXPLAIN_LOGIT'],
    [['--html', 'page.txt'], 'OPTION_VALUE'],
  ])('refuses %j', async (args, code) => {
    expect(await failure(['explain', model, text, ...args])).toMatchObject({ code, exitCode: 2 })
    expect(existsSync('page.txt')).toBe(false)
  })
})

describe('evaluate --explain', () => {
  it('measures a method beside random attributions', async () => {
    const data = write('test.jsonl', jsonl(tickets.filter((_, index) => index % 4 === 0)))
    const { explain } = await document(['evaluate', model, data, '--explain', 'occlusion', '--explain-rows', '10'])
    expect(explain).toMatchObject({ method: 'occlusion', texts: 10, seed: 0 })
    const [{ removal, probability }] = explain.removals
    expect(removal).toBe('delete')
    expect(probability.method.comprehensiveness).toBeGreaterThan(probability.random.comprehensiveness)
    const { status, stdout } = await espalier(['evaluate', model, data, '--explain', 'linear'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/comprehensiveness, high is good/)
  })
})
