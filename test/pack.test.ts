/**
 * The package as a user gets it: packed by npm, unpacked into an empty folder, run and imported there. Tests have no network, so the
 * dependencies that package.json declares are linked from the repository's node_modules; nothing else can be imported by the package.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { repository } from './cli/espalier.ts'
import { jsonl, tickets } from './cli/tickets.ts'
import { temporaryFolder } from './temporary-folder.ts'

const { folder, write } = temporaryFolder()
const project = join(folder, 'project')
const installed = join(project, 'node_modules/espalier')
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))
const npmEnvironment = { ...process.env, npm_config_cache: join(folder, 'npm-cache'), npm_config_offline: 'true' }

function link(name: string): void {
  const source = join(repository, 'node_modules', name)
  if (!statSync(source, { throwIfNoEntry: false })) return
  const target = join(project, 'node_modules', name)
  mkdirSync(dirname(target), { recursive: true })
  symlinkSync(source, target, 'junction')
}

const run = (command: string, args: string[]): string =>
  execFileSync(command, args, {
    cwd: project,
    env: npmEnvironment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })

let packed: { filename: string; size: number; files: { path: string }[] }

beforeAll(() => {
  const output = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: repository,
    env: npmEnvironment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  packed = JSON.parse(output)[0]
  mkdirSync(installed, { recursive: true })
  execFileSync('tar', ['xzf', join(folder, packed.filename), '-C', installed, '--strip-components', '1'])
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) link(name)
  mkdirSync(join(project, 'node_modules/.bin'), { recursive: true })
  symlinkSync('../espalier/dist/cli/main.js', join(project, 'node_modules/.bin/espalier'))
  chmodSync(join(installed, 'dist/cli/main.js'), 0o755) // as npm does
  write('project/train.jsonl', jsonl(tickets))
  write('project/package.json', '{"name": "empty", "private": true, "type": "module"}')
}, 120_000)

describe('the package', () => {
  it('holds what is built and the demo data, no sources or tests, and is small', () => {
    const paths = packed.files.map(({ path }) => path)
    const others = paths.filter((path) => !path.startsWith('dist/') && !path.startsWith('data/clinc150/'))
    expect(others.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    expect(paths.filter((path) => /\.test\.|\.as\.|(?<!\.d)\.ts$|\.map$/.test(path))).toEqual([])
    expect(paths).toContain('dist/cli/main.js')
    expect(paths).toContain('data/clinc150/train.jsonl.gz')
    expect(paths.filter((path) => path.endsWith('.wasm')).length).toBeGreaterThan(0)
    expect(packed.size).toBeLessThan(2_000_000)
  })

  it('runs as npx espalier: help, train, predict', () => {
    expect(run('npx', ['--no-install', 'espalier', '--help'])).toMatch(/^Usage: espalier VERB/)
    expect(run('npx', ['--no-install', 'espalier', 'train', 'train.jsonl', '--out', 'model'])).toMatch(
      /^next +npx espalier evaluate model TEST_FILE$/m,
    )
    const answer = run('npx', ['--no-install', 'espalier', 'predict', 'model', 'where is my refund'])
    expect(answer).toMatch(/→ billing › refund/)
    expect(readdirSync(project).sort()).toEqual(['model', 'node_modules', 'package.json', 'train.jsonl'])
  })

  it('is imported with its types', () => {
    write(
      'project/use.ts',
      `import { type Prediction, predict, readDataset, train } from 'espalier'
const model = await train(await readDataset('train.jsonl'), { seed: 1 })
const [answer]: Prediction[] = await predict(model, ['where is my refund'])
const path: string[] = answer!.path
console.log(path.join('/'))
`,
    )
    write(
      'project/tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          module: 'nodenext',
          target: 'es2023',
          strict: true,
          skipLibCheck: true,
          types: ['node'],
          lib: ['es2023', 'dom'],
        },
        files: ['use.ts'],
      }),
    )
    link('@types/node')
    run(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc'), '-p', '.'])
    expect(run(process.execPath, ['use.js'])).toBe('billing/refund\n')
  })
})
