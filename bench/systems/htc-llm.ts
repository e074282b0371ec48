/**
 * Done check of `htc-llm`: strategies and shots, with a scripted chat endpoint in place of a paid one. Its reply is the offered label whose prototype
 * (TF-IDF of the label's name and the examples in the prompt) is nearest to the text; so what is measured is what the strategies do with the same
 * "knowledge", what they cost, and what malformed replies and failed requests do. Run `npm run build` first.
 *
 *     npx tsx bench/systems/htc-llm.ts [--data ../shared/data] [--sets clinc150,trec,naics2012] [--texts 600] [--seeds 0,1,2] [--out docs/results/htc-llm.md]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { datasetOf, htcLlm, predict, type Row, readDataset, train } from '../../dist/index.js'
import { type ScriptedCall, scriptedChat } from '../../test/support/scripted-chat.ts'
import { mean, provenance, spread, table, writePage } from '../results-page.ts'

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    sets: { type: 'string', default: 'clinc150,trec,naics2012' },
    texts: { type: 'string', default: '600' },
    seeds: { type: 'string', default: '0,1,2' },
    out: { type: 'string', default: 'docs/results/htc-llm.md' },
  },
})
const seeds = flags.seeds.split(',').map(Number)
const most = Number(flags.texts)
/** Twenty examples of each of a thousand labels are a prompt of a megabyte: no endpoint takes that. */
const shotsOf = (set: string) => (set === 'naics2012' ? [0, 1, 5] : [0, 1, 5, 20])

type Vector = Map<string, number>
const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []

/** Nearest prototype by cosine of TF-IDF; the prototypes of a prompt are made once. */
function prototypes(texts: readonly string[]): (call: ScriptedCall) => string {
  const frequency = new Map<string, number>()
  for (const text of texts) for (const word of new Set(words(text))) frequency.set(word, (frequency.get(word) ?? 0) + 1)
  const vector = (text: string): Vector => {
    const found: Vector = new Map()
    for (const word of words(text)) found.set(word, (found.get(word) ?? 0) + 1)
    let squares = 0
    for (const [word, count] of found) {
      const value = (1 + Math.log(count)) * Math.log((1 + texts.length) / (1 + (frequency.get(word) ?? 0)))
      found.set(word, value)
      squares += value * value
    }
    for (const [word, value] of found) found.set(word, value / Math.sqrt(squares || 1))
    return found
  }
  const known = new Map<string, [string, Vector][]>()
  return ({ text, offered, body }) => {
    const system = (body as { messages: { role: string; content: string }[] }).messages[0]!.content
    let list = known.get(system)
    if (!list) {
      const shown = new Map(offered.map((label): [string, string[]] => [label, [label.replace(/_/g, ' ')]]))
      for (const [, example, label] of system.matchAll(/^Text: (.*)\nLabel: (.*)$/gm)) shown.get(label!)?.push(example!)
      list = [...shown].map(([label, parts]): [string, Vector] => [label, vector(parts.join(' '))])
      known.set(system, list)
    }
    const asked = vector(text)
    let best = list[0]![0]
    let bestCosine = -1
    for (const [label, prototype] of list) {
      let cosine = 0
      for (const [word, value] of asked) cosine += value * (prototype.get(word) ?? 0)
      if (cosine > bestCosine) {
        bestCosine = cosine
        best = label
      }
    }
    return best
  }
}

interface Outcome {
  accuracy: number
  inputTokens: number
  calls: number
  repairs: number
  retries: number
  ledger: boolean
}

const strategies = ['direct-leaf', 'direct-hierarchical', 'top-down', 'retrieve'] as const

async function measure(
  rows: { train: Row[]; test: Row[] },
  strategy: (typeof strategies)[number],
  shots: number,
  seed: number,
  faults = false,
): Promise<Outcome> {
  const answer = prototypes(rows.train.map(({ text }) => text))
  let promptTokens = 0
  const chat = await scriptedChat((call, number) => {
    if (faults && number % 20 === 7) return { status: 503, headers: { 'retry-after': '0' } }
    const { messages } = call.body as { messages: { content: string }[] }
    promptTokens += messages.reduce((sum, { content }) => sum + Math.ceil(content.length / 4), 0)
    return faults && !call.again && number % 10 === 3 ? 'I am sorry, as a language model' : answer(call)
  })
  try {
    const method = htcLlm({ endpoint: chat.url, model: 'scripted', strategy, shots, shuffle: false, concurrency: 2 })
    const model = await train(datasetOf(rows.train), { method, seed })
    const answers = await predict(
      model,
      rows.test.map(({ text }) => text),
    )
    const usage = model.scorer.usage!()
    const right = answers.filter(({ path }, i) => path.join('\t') === rows.test[i]!.labels[0]!.join('\t')).length
    return {
      accuracy: (100 * right) / answers.length,
      inputTokens: usage['inputTokens']! / answers.length,
      calls: usage['calls']! / answers.length,
      repairs: usage['repairs']!,
      retries: usage['retries']!,
      ledger: usage['inputTokens'] === promptTokens && usage['calls']! + usage['retries']! === chat.calls.length,
    }
  } finally {
    await chat.close()
  }
}

const lines: string[][] = []
const accuracy = new Map<string, number[]>()
const tokens = new Map<string, number>()
let exactLedgers = true
for (const set of flags.sets.split(',')) {
  const read = async (split: string) =>
    (await (await readDataset(join(flags.data, set, `${split}.jsonl.gz`), { onEmptyText: 'skip' })).collect()) as Row[]
  const all = await read('test')
  const step = Math.max(1, Math.floor(all.length / most))
  const rows = { train: await read('train'), test: all.filter((_, i) => i % step === 0).slice(0, most) }
  for (const strategy of strategies) {
    for (const shots of shotsOf(set)) {
      const outcomes: Outcome[] = []
      // Without examples and without a local model nothing depends on the seed.
      for (const seed of shots === 0 ? seeds.slice(0, 1) : seeds)
        outcomes.push(await measure(rows, strategy, shots, seed))
      exactLedgers &&= outcomes.every(({ ledger }) => ledger)
      const key = `${set} ${strategy} ${shots}`
      accuracy.set(
        key,
        outcomes.map((outcome) => outcome.accuracy),
      )
      tokens.set(key, mean(outcomes.map(({ inputTokens }) => inputTokens)))
      lines.push([
        set,
        strategy,
        String(shots),
        outcomes.length > 1 ? spread(accuracy.get(key)!, 1) : accuracy.get(key)![0]!.toFixed(1),
        tokens.get(key)!.toFixed(0),
        mean(outcomes.map(({ calls }) => calls)).toFixed(2),
      ])
      console.error(lines.at(-1)!.join('  '))
    }
  }
  const faulty: Outcome[] = []
  for (const seed of seeds) faulty.push(await measure(rows, 'direct-leaf', 5, seed, true))
  exactLedgers &&= faulty.every(({ ledger }) => ledger)
  accuracy.set(
    `${set} faults`,
    faulty.map((outcome) => outcome.accuracy),
  )
  lines.push([
    set,
    'direct-leaf, a tenth of replies malformed, a twentieth of requests failing',
    '5',
    spread(accuracy.get(`${set} faults`)!, 1),
    mean(faulty.map(({ inputTokens }) => inputTokens)).toFixed(0),
    mean(faulty.map(({ calls }) => calls)).toFixed(2),
  ])
}

const of = (key: string) => mean(accuracy.get(key) ?? [Number.NaN])
const checks: string[] = []
const check = (holds: boolean, text: string) => checks.push(`- ${holds ? 'holds' : '**does not hold**'}: ${text}`)
for (const set of flags.sets.split(',')) {
  for (const shots of [1, 5]) {
    const margin = of(`${set} direct-leaf ${shots}`) - of(`${set} top-down ${shots}`)
    const asked = shots === 5 && set !== 'clinc150' ? 5 : 0.5
    check(
      margin >= asked,
      `${set}, ${shots} shots: direct-leaf over top-down ${margin.toFixed(1)} points (asked: ${asked})`,
    )
  }
  const gain = of(`${set} direct-leaf 5`) - of(`${set} direct-leaf 1`)
  check(gain >= 8, `${set}: 5 shots over 1 shot ${gain.toFixed(1)} points (asked: 8)`)
  const loss = of(`${set} direct-leaf 5`) - of(`${set} faults`)
  check(
    loss <= 1,
    `${set}: malformed replies and failed requests cost ${loss.toFixed(1)} points after repair (asked: at most 1)`,
  )
}
const ratio = tokens.get('naics2012 direct-hierarchical 0')! / tokens.get('naics2012 top-down 0')!
if (!Number.isNaN(ratio))
  check(
    ratio >= 30,
    `naics2012: direct-hierarchical costs ${ratio.toFixed(1)} times the input tokens of top-down (asked: 30)`,
  )
check(exactLedgers, 'the ledger equals the tokens and requests that the endpoint counted, to the token')

await writePage(
  flags.out,
  `# htc-llm: strategies, shots and cost

Accuracy of whole paths, %, on ${most} test texts, with a scripted endpoint: its reply is the offered label whose prototype (TF-IDF of the name and of the examples
in the prompt) is nearest. It knows nothing but the prompt, so figures compare strategies, not language models. Mean and standard deviation over ${seeds.length} draws of
examples. Input tokens per text, at 4 characters a token, examples included; options in the tree's order. \`retrieve\` asks for one of the 20 candidates of
a local \`ngram\` model that is trained on all rows, best first; where a text shares no word with any option, the endpoint takes the first.

${table(['set', 'strategy', 'shots', 'accuracy', 'input tokens', 'calls'], lines)}

${checks.join('\n')}

${provenance(`npx tsx bench/systems/htc-llm.ts --data ${flags.data} --texts ${most} --seeds ${flags.seeds}`).join('\n')}`,
)
