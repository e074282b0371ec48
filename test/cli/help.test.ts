import { describe, expect, it } from 'vitest'
import { version } from '../../src/util/version.ts'
import { espalier } from './espalier.ts'

const verbs = [
  ...['train', 'pretrain', 'evaluate', 'predict', 'explain', 'merge', 'align', 'select', 'organize', 'export', 'serve'],
  ...['studio', 'inspect', 'systems', 'demo'],
]

/** What every verb's help must name: the options of issue and docs. */
const options: Record<string, string[]> = {
  train: [
    ...['--labels', '--out', '--dev', '--method', '--method-option', '--encoder', '--epochs', '--lr', '--batch'],
    ...['--max-length', '--seed', '--max-minutes', '--resume', '--plan', '--threads', '--unknown-labels', '--force'],
    ...['--text', '--labels-column', '--separator'],
  ],
  pretrain: [
    '--out',
    '--vocabulary',
    '--layers',
    '--hidden',
    '--max-length',
    '--epochs',
    '--mask-share',
    '--seed',
    '--resume',
  ],
  align: ['--out', '--task', '--method', '--method-option', '--shots', '--expert', '--seed', '--force'],
  evaluate: [
    '--explain',
    '--explain-option',
    '--explain-rows',
    '--seed',
    '--report',
    '--min-confidence',
    '--unknown-labels',
    '--text',
    '--labels-column',
    '--separator',
  ],
  explain: ['--method', '--method-option', '--label', '--score', '--html', '--seed', '--threads'],
  predict: ['--input', '--task', '--top-k', '--min-confidence', '--jsonl', '--threads', '--text'],
  merge: ['--plan', '--seed', '--threads', '--max-memory', '--max-shard-size', '--resume', '--force'],
  select: ['--few-shot', '--k', '--out', '--dev-out', '--dev-k', '--seed', '--force', '--text', '--labels-column'],
  organize: ['--second-column', '--out', '--method', '--method-option', '--dev', '--test', '--seed', '--force'],
  export: ['--format', '--out', '--force', '--head', '--type'],
  serve: [
    ...['--port', '--host', '--api-key-env', '--insecure', '--cors', '--workers', '--threads', '--watch', '--batch'],
    ...['--max-body', '--max-texts', '--max-text-length', '--max-queue', '--max-requests', '--time-limit'],
    ...['--receive-limit', '--stop-limit'],
  ],
  studio: ['--port', '--host', '--insecure'],
  inspect: ['--text', '--labels-column', '--separator'],
  systems: [],
  demo: [],
}

describe('help', () => {
  it('lists the verbs, on stdout, without colour in a pipe', async () => {
    const { status, stdout, stderr } = await espalier(['--help'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^  ${verb} +\\S`, 'm'))
    expect(stdout).not.toContain('\x1b')
    expect(stdout).toMatch(/\n$/)
    expect((await espalier([])).stdout).toBe(stdout)
    expect((await espalier(['help'])).stdout).toBe(stdout)
  })

  it.each(verbs)('of %s: one line of summary, all options with defaults, two or three examples', async (verb) => {
    const [{ status, stdout }, same] = await Promise.all([espalier(['help', verb]), espalier([verb, '--help'])])
    expect(status).toBe(0)
    expect(same.stdout).toBe(stdout)
    for (const option of [...options[verb]!, '--json', '--debug'])
      expect(stdout).toMatch(new RegExp(`^  ${option}\\b`, 'm'))
    const examples = stdout.split('Examples:\n')[1]!.trimEnd().split('\n')
    expect(examples.length).toBeGreaterThanOrEqual(2)
    expect(examples.length).toBeLessThanOrEqual(3)
    for (const line of stdout.split('\n').filter((line) => !line.startsWith('  espalier')))
      expect(line.length).toBeLessThanOrEqual(80)
  })

  it('is in colour where that is forced', async () => {
    expect((await espalier(['--help'], { env: { FORCE_COLOR: '1' } })).stdout).toContain('\x1b[1mUsage:')
  })

  it('says the version', async () => {
    expect((await espalier(['--version'])).stdout).toBe(`${version}\n`)
  })
})

it('docs/cli.md holds the help texts as they are (vitest -u writes them)', async () => {
  const texts = await Promise.all(verbs.map(async (verb) => (await espalier(['help', verb])).stdout.trimEnd()))
  const page = `${introduction}${texts.map((text, index) => `\n## ${verbs[index]}\n\n\`\`\`\n${text}\n\`\`\`\n`).join('')}`
  await expect(page).toMatchFileSnapshot('../../docs/cli.md')
})

const introduction = `# Command line

    espalier VERB ARGS [--json]

- Results go to stdout, progress and remarks to stderr. With \`--json\` stdout holds exactly one JSON document, also when the command fails:
  \`{"error": {"code", "message", "exitCode", "where", "help", "data"}}\`. [errors.md](errors.md) lists the codes.
- Exit status: 0 done; 1 it failed (a full disk, a loss that is no number, an interruption); 2 the input or the usage is wrong. 130 or 143: ended by a second
  Ctrl-C or SIGTERM.
- Progress is one moving line on a terminal, a line every ten seconds in a log, JSON lines with \`--json\`:
  \`{"step", "done", "total", "unit", "metrics", "elapsedSeconds", "perSecond", "remainingSeconds"}\`, and \`{"note"}\` for remarks.
- Ctrl-C (SIGINT) and SIGTERM stop in order: what can be resumed is saved first. A second one ends at once.
- \`NO_COLOR\` turns colours off, \`FORCE_COLOR\` turns them on (\`FORCE_COLOR=0\` off). \`HF_HOME\`, \`HF_TOKEN\` and \`HF_HUB_OFFLINE\` are honoured for \`hf:\` models.
- Errors never show a stack trace, unless \`--debug\` is given.
`
