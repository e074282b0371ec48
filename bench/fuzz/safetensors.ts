/**
 * Opens and reads mutants of valid safetensors files: bytes and JSON tokens changed, headers rebuilt with hostile numbers. Every one must be
 * read or refused with a typed error, in bounded memory. Writes docs/results/fuzz-safetensors.md.
 *
 *     npx tsx bench/fuzz/safetensors.ts [--count 100000] [--seed 0] [--out docs/results/fuzz-safetensors.md]
 *
 * With `--keep DIR` the mutants are also kept, with our verdicts, for bench/fuzz/compare.py to hear the reference implementation on them.
 */
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { openSafetensors } from '../../dist/checkpoint/safetensors-file.js'
import { random } from '../../dist/tensor/random.js'
import { EspalierError } from '../../dist/util/errors.js'

const { values: flags } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '0' },
    keep: { type: 'string' },
    out: { type: 'string', default: 'docs/results/fuzz-safetensors.md' },
  },
})
const count = Number(flags.count)

const fixtures = new URL('../../test/fixtures/checkpoints/', import.meta.url)
const originals = ['tiny-lora/adapter_model.safetensors', 'dtypes.safetensors'].map((name) =>
  readFileSync(new URL(name, fixtures)),
)
const hostileNumbers = [
  '0',
  '-1',
  '1.5',
  '1e3',
  '00',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551615',
  '1e999',
  'null',
  '"1"',
  '[]',
]
const hostileTokens = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '\0',
  '\n',
  '\u{1f600}',
  '"dtype":"F32",',
  '"__metadata__":{},',
  '[[[[[[[[',
]

/** Chooses with counters, so that a mutant depends on its number alone. */
function chooser(run: number) {
  const r = random(Number(flags.seed), 'fuzz', run)
  let index = 0
  return {
    below: (n: number) => Math.floor(r.uniform(index++) * n),
    pick: <T>(list: readonly T[]): T => list[Math.floor(r.uniform(index++) * list.length)]!,
  }
}

function mutant(run: number): Buffer {
  const { below, pick } = chooser(run)
  const original = pick(originals)
  const headerBytes = Number(original.readBigUInt64LE(0))
  let header = original.subarray(8, 8 + headerBytes).toString('latin1')
  let data = original.subarray(8 + headerBytes)
  let length: bigint | undefined
  for (let change = 0; change <= below(3); change++) {
    const at = below(header.length)
    const kind = below(9)
    if (kind === 0) header = header.slice(0, at) + String.fromCharCode(below(256)) + header.slice(at + 1)
    else if (kind === 1) header = header.slice(0, at) + header.slice(at + 1 + below(20))
    else if (kind === 2) header = header.slice(0, at) + pick(hostileTokens) + header.slice(at)
    else if (kind === 3) {
      const numbers = [...header.matchAll(/\d+/g)]
      const chosen = numbers[below(numbers.length)]
      if (chosen)
        header =
          header.slice(0, chosen.index) +
          pick([...hostileNumbers, String(Number(chosen[0]) + 1)]) +
          header.slice(chosen.index + chosen[0].length)
    } else if (kind === 4) {
      const entries = [...header.matchAll(/"[^"]+":\{[^{}]*\}/g)]
      const chosen = entries[below(entries.length)]?.[0]
      if (chosen)
        header = below(2) === 0 ? header.replace(chosen, `${chosen},${chosen}`) : header.replace(`${chosen},`, '')
    } else if (kind === 5) {
      const entries = [...header.matchAll(/"dtype":"(\w+)"/g)]
      const [a, b] = [entries[below(entries.length)]?.[1], entries[below(entries.length)]?.[1]]
      if (a && b) header = header.replace(`"${a}"`, `"${b}"`)
    } else if (kind === 6)
      data = below(2) === 0 ? data.subarray(0, below(data.length)) : Buffer.concat([data, Buffer.alloc(1 + below(16))])
    else if (kind === 7)
      length = pick([
        0n,
        1n,
        2n,
        BigInt(below(headerBytes * 2)),
        100_000_000n,
        100_000_001n,
        2n ** 31n,
        2n ** 53n,
        2n ** 63n,
        2n ** 64n - 1n,
      ])
    else header = header.trimEnd().padEnd(header.length + below(9), pick([' ', '\t', '\n', '\0', 'x']))
  }
  const json = Buffer.from(header, 'latin1')
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length ?? BigInt(json.length))
  const whole = Buffer.concat([size, json, data])
  return below(20) === 0 ? whole.subarray(0, below(whole.length)) : whole
}

/** The error's code, or `read` if every tensor could be read. Any other failure ends the run. */
async function verdict(file: string): Promise<string> {
  try {
    const opened = await openSafetensors(file)
    try {
      for (const { name, bytes } of opened.tensors.values()) await opened.readInto(name, new Uint8Array(bytes))
    } finally {
      await opened.close()
    }
    return 'read'
  } catch (error) {
    if (!EspalierError.is(error)) throw error
    return error.code
  }
}

const folder = flags.keep ?? mkdtempSync(join(tmpdir(), 'espalier-fuzz-'))
mkdirSync(folder, { recursive: true })
const verdicts = new Map<string, number>()
const before = process.resourceUsage().maxRSS
const started = performance.now()
for (let run = 0; run < count; run++) {
  const file = join(folder, flags.keep ? `${run}.safetensors` : 'mutant.safetensors')
  writeFileSync(file, mutant(run))
  const code = await verdict(file)
  if (flags.keep) appendFileSync(join(folder, 'verdicts.tsv'), `${run}\t${code}\n`)
  verdicts.set(code, (verdicts.get(code) ?? 0) + 1)
}
const seconds = (performance.now() - started) / 1000
const grown = (process.resourceUsage().maxRSS - before) / 1024
if (!flags.keep) rmSync(folder, { recursive: true })

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const rows = [...verdicts]
  .sort(([, a], [, b]) => b - a)
  .map(([code, n]) => `| ${code} | ${n.toLocaleString('en-US')} |`)
const page = `# Hostile safetensors

${count.toLocaleString('en-US')} mutants of two valid files (bytes and tokens changed, entries doubled or removed, hostile numbers, cut data, wrong lengths), each opened and read
to the end. Each was read or refused with a typed error; none crashed the process. Peak memory grew by ${grown.toFixed(0)} MB over the whole run.

| verdict | mutants |
| --- | --- |
${rows.join('\n')}

\`npx tsx bench/fuzz/safetensors.ts --count ${count} --seed ${flags.seed}\`, commit ${commit}, ${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, ${seconds.toFixed(0)} s.
`
mkdirSync(dirname(flags.out), { recursive: true })
writeFileSync(flags.out, page)
console.log(page)
