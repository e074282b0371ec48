/** Bundles a page that uses `espalier/browser` as an application would, and serves it beside model folders. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const entry = fileURLToPath(new URL('../../dist/browser/index.js', import.meta.url))

export interface Bundle {
  folder: string
  /** Names and sizes of what the page may load. */
  files: { name: string; bytes: number }[]
  /** All JavaScript of it. */
  code: string
  warnings: string[]
}

/** Bundles `espalier/browser` into `folder` with a page that has it as `globalThis.espalier`. */
export async function bundlePage(folder: string): Promise<Bundle> {
  const root = join(folder, 'page')
  await mkdir(root, { recursive: true })
  await writeFile(
    join(root, 'index.html'),
    '<!doctype html><title>espalier</title><script type="module" src="./main.js"></script>',
  )
  await writeFile(
    join(root, 'main.js'),
    "import * as espalier from 'espalier/browser'\nglobalThis.espalier = espalier\n",
  )
  const warnings: string[] = []
  const outDir = join(folder, 'bundle')
  await build({
    root,
    configFile: false,
    logLevel: 'silent',
    resolve: { alias: { 'espalier/browser': entry } },
    worker: { format: 'es' },
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      assetsInlineLimit: 0,
      rolldownOptions: { onwarn: (warning) => void warnings.push(warning.message) },
    },
  })
  const names = (await readdir(outDir, { recursive: true, withFileTypes: true })).filter((file) => file.isFile())
  const files: Bundle['files'] = []
  let code = ''
  for (const file of names) {
    const content = await readFile(join(file.parentPath, file.name))
    files.push({ name: file.name, bytes: content.length })
    if (file.name.endsWith('.js')) code += content.toString()
  }
  return { folder: outDir, files, code, warnings }
}

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
}

/**
 * Serves a bundle at / and folders under their names, on the loopback interface.
 * @param isolated sends the headers that let pages share memory with their workers.
 */
export async function serveFolders(
  folders: Record<string, string>,
  isolated: boolean,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname)
    const [, first = '', ...rest] = path.split('/')
    const file =
      first !== '' && first in folders
        ? join(folders[first]!, ...rest)
        : join(folders['']!, path === '/' ? 'index.html' : path)
    if (isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin')
      response.setHeader('cross-origin-embedder-policy', 'require-corp')
    }
    try {
      const body = await readFile(file)
      response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream').end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
