/** For contract tests: runs the built command line as a process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

export const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
export const repository = fileURLToPath(new URL('../..', import.meta.url))

export interface Result {
  status: number | null
  stdout: string
  stderr: string
}

export interface SpawnOptions {
  cwd?: string
  input?: string | Uint8Array
  /** Keep standard input open without writing to it. */
  hold?: boolean
  env?: Record<string, string>
}

/** The environment of every run: no colours asked for or forbidden by whoever runs the tests. */
function environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { NO_COLOR: _no, FORCE_COLOR: _force, npm_command: _npm, ...rest } = process.env
  return { ...rest, ...more }
}

export function start(
  args: readonly string[],
  options: SpawnOptions = {},
): { child: ChildProcess; result: Promise<Result> } {
  const child = spawn(process.execPath, [main, ...args], { cwd: options.cwd, env: environment(options.env) })
  child.stdin.on('error', () => undefined) // the process may end without reading
  if (!options.hold) child.stdin.end(options.input ?? '')
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const result = new Promise<Result>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) =>
      resolve({ status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
  })
  return { child, result }
}

/** Runs `espalier ARGS` to its end. */
export const espalier = (args: readonly string[], options: SpawnOptions = {}): Promise<Result> =>
  start(args, options).result

/** Runs `espalier ARGS --json`, expects success, and returns the one document on stdout. */
export async function document(args: readonly string[], options: SpawnOptions = {}): Promise<Json> {
  const { status, stdout, stderr } = await espalier([...args, '--json'], options)
  expect(status, stderr + stdout).toBe(0)
  for (const line of stderr.split('\n').filter(Boolean)) expect(typeof JSON.parse(line)).toBe('object')
  return JSON.parse(stdout)
}

/** A parsed document; tests say what they expect in it. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
export type Json = any

export interface Failure {
  code: string
  message: string
  exitCode: number
  where: Record<string, unknown>
  help?: string
}

/**
 * Runs a command that must fail, twice. For people: nothing on stdout, at most five lines on stderr, no stack trace. For programs: one JSON
 * document on stdout that holds the error. Returns the error.
 */
export async function failure(args: readonly string[], options: SpawnOptions = {}): Promise<Failure> {
  const [forPeople, forPrograms] = await Promise.all([espalier(args, options), espalier(asJson(args), options)])
  expect(forPeople.status, forPeople.stderr).toBe(2)
  expect(forPeople.stdout).toBe('')
  const lines = forPeople.stderr.trimEnd().split('\n')
  expect(lines.length, forPeople.stderr).toBeLessThanOrEqual(5)
  expect(lines[0]).toMatch(/^[✖■] \S/)
  expect(forPeople.stderr).not.toMatch(/^\s+at /m)
  expect(forPeople.stderr).not.toContain('inside espalier')
  expect(forPrograms.status).toBe(2)
  const { error } = JSON.parse(forPrograms.stdout) as { error: Failure }
  expect(error.exitCode).toBe(2)
  expect(error.code).not.toBe('INTERNAL')
  expect(forPeople.stderr.replaceAll(/\s+/g, ' ')).toContain(error.message.slice(0, 60).replaceAll(/\s+/g, ' '))
  return error
}

/** The same command with `--json`, which stands before a bare `--`. */
function asJson(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return end < 0 ? [...args, '--json'] : [...args.slice(0, end), '--json', ...args.slice(end)]
}

/** Everything below a folder, sorted: for checks that nothing half-written remains. */
export const filesBelow = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort()
