/** The tokenizer's files, with the length that the model reads, so that other programs cut texts where this one does. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tokenizer } from '../../text/tokenizer.ts'

export async function writeTokenizer(folder: string, tokenizer: Tokenizer, maxLength: number): Promise<void> {
  for (const [name, text] of Object.entries(tokenizer.files())) {
    const content =
      name === 'tokenizer_config.json'
        ? `${JSON.stringify({ ...(JSON.parse(text) as object), model_max_length: maxLength }, null, 2)}\n`
        : text
    await writeFile(join(folder, name), content)
  }
}
