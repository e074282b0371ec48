/** `espalier export` as a process. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../temporary-folder.ts'
import { document, espalier, failure, repository } from './espalier.ts'

const { folder } = temporaryFolder()
const source = join(repository, 'test/fixtures/export/source')

describe('espalier export', () => {
  it('writes a folder and says how far it differs from its source', async () => {
    const out = join(folder, 'onnx')
    const { status, stdout, stderr } = await espalier(['export', source, '--format', 'onnx', '--out', out])
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(/^checked +14 texts: probabilities differ by \S+ at most \(allowed: .+\)$/m)
    expect(stdout).toContain('pipeline(')
    expect(readdirSync(out).sort()).toEqual([
      'config.json',
      'espalier.json',
      'labels.json',
      'onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    const again = ['export', source, '--format', 'gguf', '--out', out]
    expect(await document([...again, '--force'])).toMatchObject({ format: 'gguf', parity: { compared: 'tensors' } })
    expect(existsSync(join(out, 'onnx'))).toBe(false)
    expect((await failure(again)).code).toBe('OUT_EXISTS')
  })

  it('refuses unknown formats and models', async () => {
    const out = join(folder, 'none')
    expect((await failure(['export', source, '--format', 'onx', '--out', out])).code).toBe('OPTION_VALUE')
    expect((await failure(['export', join(folder, 'absent'), '--format', 'onnx', '--out', out])).code).toBe('ENOENT')
    expect(existsSync(out)).toBe(false)
  })
})
