/** Serves the built package on the loopback interface and runs training steps in a page of it. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { trainSteps } from '../support/train-steps.ts'
import { browserArguments } from './chromium.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const types: Record<string, string> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

const page = `<!doctype html>
<title>espalier</title>
<script type="importmap">
{
  "imports": {
    "valibot": "/node_modules/valibot/dist/index.mjs",
    "onnxruntime-web/wasm": "/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs"
  }
}
</script>`

/** The losses of the training steps in a headless browser. */
export async function trainInBrowser(executablePath: string): Promise<number[]> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (path === '/') return void response.setHeader('content-type', 'text/html').end(page)
    try {
      const body = await readFile(join(root, path))
      response.setHeader('content-type', types[extname(path)] ?? 'application/octet-stream').end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await chromium.launch({ executablePath, args: browserArguments })
  try {
    const tab = await browser.newPage()
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    return await tab.evaluate<number[]>(`(async () => {
      const [graph, models, train] = await Promise.all([
        import('/dist/graph/index.js'),
        import('/dist/models/index.js'),
        import('/dist/train/head-loss.js'),
      ])
      return (${trainSteps.toString()})({ graph, models, train }, 'wasm')
    })()`)
  } finally {
    await browser.close()
    await new Promise((resolve) => server.close(resolve))
  }
}
