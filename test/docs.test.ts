/**
 * The documentation runs: every ```ts and ```sh block of README.md and docs/ that is not marked `no-run` is executed, page by page, in a folder
 * that holds the files which the page shows. Values in comments (`tree.size // 5`) are checked.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { blocksOf, type DocBlock, fileOf, withChecks } from './doc-blocks.ts'
import { temporaryFolder } from './temporary-folder.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const run = promisify(execFile)
const pages = [join(root, 'README.md'), ...markdownBelow(join(root, 'docs'))]
const blocks = pages.flatMap(blocksOf)
const runnable = blocks.filter(({ language, isIllustration }) => ['ts', 'sh'].includes(language) && !isIllustration)

function markdownBelow(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true }).map(String)
  return names
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort()
}

/** A folder in which `espalier` is a command and a package, as after an installation. */
function installed(): { folder: string; env: NodeJS.ProcessEnv; write: (name: string, content: string) => string } {
  const { folder, write } = temporaryFolder()
  for (const name of ['node_modules', 'bin']) mkdirSync(join(folder, name))
  symlinkSync(root, join(folder, 'node_modules', 'espalier'), 'junction')
  write('package.json', '{"type": "module"}')
  const main = join(root, 'dist', 'cli', 'main.js')
  writeFileSync(join(folder, 'bin', 'espalier'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, {
    mode: 0o755,
  })
  return { folder, write, env: { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH']}` } }
}

async function execute(block: DocBlock, place: ReturnType<typeof installed>): Promise<void> {
  const { folder, env, write } = place
  if (block.language === 'sh') {
    if (!block.code.trimStart().startsWith('espalier'))
      throw new Error('an sh block that runs starts with espalier; mark others `sh no-run`')
    await run('sh', ['-e', '-c', block.code], { cwd: folder, env })
  } else {
    const script = write(`block-${block.line}.ts`, withChecks(block))
    await run(process.execPath, ['--import', loader, script], { cwd: folder, env })
  }
}

const livePages = pages.filter((page) => runnable.some((block) => block.page === page))

describe.each(livePages.map((page) => [relative(root, page), page] as const))('%s', (_, page) => {
  const place = installed()
  const own = blocks.filter((block) => block.page === page)
  for (const block of own) {
    const file = fileOf(block)
    if (file !== undefined) place.write(file, block.code)
  }
  test.each(own.filter((block) => runnable.includes(block)))(
    'the $language block at line $line',
    async (block) => {
      await execute(block, place).catch((error: Error & { stderr?: string }) => {
        throw new Error(`${relative(root, page)} line ${block.line}: ${error.message}\n${error.stderr ?? ''}`)
      })
    },
    120_000,
  )
})

const typesPlace = installed()

test('every TypeScript block that imports the package type-checks, illustrations too', async () => {
  const { folder, write } = typesPlace
  const checked = blocks.filter(({ language, code }) => language === 'ts' && code.includes("from 'espalier'"))
  const files = checked.map((block, index) => write(`types-${index}.ts`, block.code))
  const compilerOptions = {
    target: 'ES2023',
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  }
  const project = write('tsconfig.json', JSON.stringify({ compilerOptions, files }))
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = await run(process.execPath, [compiler, '-p', project, '--pretty', 'false'], { cwd: folder }).catch(
    (error: { stdout: string }) => error,
  )
  // A fault names the file made here; say the page instead.
  const faults = stdout.replaceAll(/types-(\d+)\.ts\((\d+),\d+\)/g, (_, index, line) => {
    const block = checked[Number(index)]!
    return `${relative(root, block.page)} line ${block.line + Number(line)}`
  })
  expect(faults).toBe('')
  expect(checked.length).toBeGreaterThan(0)
})
