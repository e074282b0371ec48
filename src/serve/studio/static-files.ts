/** The built page: the files that lay in dist/studio when the server started, and no others. */
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RunError } from '../../util/errors.ts'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface StaticFile {
  body: Uint8Array<ArrayBuffer>
  type: string
  /** Its name changes with its content. */
  fixed: boolean
}

/** The files by their path in the address. Throws RunError `NOT_BUILT`. */
export async function studioFiles(): Promise<Map<string, StaticFile>> {
  const here = import.meta.url.replace(/\/src\//, '/dist/')
  const folder = fileURLToPath(new URL('../../studio/', here))
  const names = (await readdir(folder, { recursive: true }).catch(() => [])).filter((name) => types[extname(name)])
  if (!names.includes('index.html'))
    throw new RunError('NOT_BUILT', 'The studio is not built', { help: 'run: npm run build' })
  const entries = names.map(async (name): Promise<[string, StaticFile]> => {
    const path = `/${name.split('\\').join('/')}`
    const body = new Uint8Array(await readFile(join(folder, name)))
    return [path, { body, type: types[extname(name)]!, fixed: path.startsWith('/assets/') }]
  })
  return new Map(await Promise.all(entries))
}
