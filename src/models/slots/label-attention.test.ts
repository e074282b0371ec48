import { expect, test } from 'vitest'
import { compile, Graph } from '../../graph/index.ts'
import { encoderModel } from '../architectures.ts'
import { miniConfig } from '../mini.ts'
import { gatherRows, tokenBatch } from '../token-batch.ts'
import { initialWeights } from '../weights.ts'

const config = miniConfig({ vocabularySize: 30, layers: 1, hiddenSize: 8, heads: 2, maxLength: 16, dropout: 0 })
const texts = [
  [2, 7, 9, 3],
  [2, 11, 3],
]

test.each(['caml', 'laat'] as const)(
  '%s attends to tokens, never to padding, and reads a logit off what it found',
  async (form) => {
    const size = 5
    const units = 3
    const model = encoderModel({ ...config, slots: { kind: 'label-attention', form, size } }, { units })
    const weights = initialWeights(model, 1)
    const graph = new Graph()
    const { logits, hidden, slots } = model.build(graph)
    const session = await compile(graph, { logits: logits!, hidden: hidden!, attention: slots['attention']! })
    session.bind(new Map([...weights].filter(([name]) => session.has(name))))
    const batch = tokenBatch(texts, model)
    const rows = gatherRows(batch, weights.get(model.tokenTable)!, config.hiddenSize)
    const out = await session.run({ tokenRows: rows, attention_mask: batch.mask }, { dims: { B: batch.B, S: batch.S } })
    await session.close()
    const { hiddenSize } = config
    const [projection, attention, output] = ['projection', 'attention', 'output'].map((name) =>
      weights.get(`slots.${name}.weight`),
    )
    const dot = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number, width: number) => {
      let sum = 0
      for (let k = 0; k < width; k++) sum += a[i * width + k]! * b[j * width + k]!
      return sum
    }
    for (const [b, text] of texts.entries())
      for (let unit = 0; unit < units; unit++) {
        const scores = text.map((_, s) => {
          const at = b * batch.S + s
          const states = out['hidden']!
          const keys =
            form === 'laat'
              ? Array.from({ length: size }, (_, i) =>
                  Math.tanh(dot(projection!, i, states as Float32Array, at, hiddenSize)),
                )
              : Array.from({ length: hiddenSize }, (_, i) => Math.tanh(Number(states[at * hiddenSize + i])))
          return Math.exp(dot(attention!, unit, keys, 0, keys.length))
        })
        const total = scores.reduce((sum, score) => sum + score, 0)
        let logit = 0
        for (const [s, score] of scores.entries())
          logit += (score / total) * dot(output!, unit, out['hidden'] as Float32Array, b * batch.S + s, hiddenSize)
        expect(Number(out['logits']![b * units + unit])).toBeCloseTo(logit, 5)
        for (let s = text.length; s < batch.S; s++)
          expect(Number(out['attention']![(b * units + unit) * batch.S + s])).toBe(0)
      }
  },
)
