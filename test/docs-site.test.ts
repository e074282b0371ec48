/** The documentation's links and its generated pages: every link leads to a file and a heading, every exported name is in the API reference with its comment. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
// @ts-expect-error: plain JavaScript, shared with the site's build
import { anchorsOf, linksOf, slug } from '../scripts/docs/markdown.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const markdown = (folder: string): string[] =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort()

/** Links of pages that lead nowhere, as `page line 3: target`. */
function deadLinks(pages: readonly string[]): string[] {
  const anchors = new Map<string, Set<string>>()
  return pages.flatMap((page) =>
    (linksOf(readFileSync(page, 'utf8')) as { target: string; line: number }[]).flatMap(({ target, line }) => {
      if (/^(?:https?|mailto):/.test(target)) return []
      const [path, anchor] = target.split('#') as [string, string?]
      const file = path === '' ? page : resolve(dirname(page), path)
      const fault = [`${relative(root, page)} line ${line}: ${target}`]
      if (!existsSync(file)) return fault
      if (anchor === undefined || statSync(file).isDirectory()) return []
      if (!anchors.has(file)) anchors.set(file, anchorsOf(readFileSync(file, 'utf8')) as Set<string>)
      return anchors.get(file)!.has(anchor) ? [] : fault
    }),
  )
}

describe('links', () => {
  test('of the repository lead to files and headings', () => {
    const pages = ['README.md', 'CONTRIBUTING.md'].map((name) => join(root, name))
    expect(deadLinks([...pages, ...markdown(join(root, 'docs'))])).toEqual([])
  })

  test('anchors are those of code hosts', () => {
    expect(slug('What `train` does, and why?')).toBe('what-train-does-and-why')
    expect([...anchorsOf('# A b\n## A b\n```\n# no\n```\n')]).toEqual(['a-b', 'a-b-1'])
    expect(linksOf('a [b](c.md#d)\n`[e](f)`\n```\n[g](h)\n```\n')).toEqual([{ target: 'c.md#d', line: 1 }])
  })
})

describe('the site', () => {
  const site = join(root, '.site')

  test('its pages are made from the program, and their links hold', async () => {
    await promisify(execFile)(process.execPath, [join(root, 'scripts/docs/build.mjs'), '--pages'], { cwd: root })
    expect(deadLinks(markdown(site))).toEqual([])
    const methods = JSON.parse(
      (await promisify(execFile)(process.execPath, [join(root, 'dist/cli/main.js'), 'systems', '--json'])).stdout,
    ) as { systems: { name: string; verb: string; summary: string }[] }
    for (const { name, verb } of methods.systems)
      expect(existsSync(join(site, 'methods', verb, `${name}.md`)), `${verb} ${name}`).toBe(true)
  }, 300_000)

  test('every exported function has an entry with its comment', async () => {
    const exported = Object.entries((await import('espalier')) as Record<string, unknown>)
    const api = markdown(join(site, 'api'))
      .map((page) => readFileSync(page, 'utf8'))
      .join('\n')
    const missing = exported.flatMap(([name]) => {
      const entry = api.split(`\n## ${name}\n`)[1]?.split('\n## ')[0]
      return entry === undefined
        ? [name]
        : /^\s*```ts/.test(entry) && !/\/\*\*/.test(entry)
          ? [`${name}: no comment`]
          : []
    })
    expect(missing).toEqual([])
  })
})
