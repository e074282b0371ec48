/** The chat template of a merged model: a Jinja text, the most common one of the models (`auto`), or ChatML. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../../util/errors.ts'
import { readJson } from '../../util/json.ts'

const chatml =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

const templateFile = 'chat_template.jinja'
const configFile = 'tokenizer_config.json'

/**
 * The files that set a template: `chat_template.jinja`, and the tokenizer's config without an older one.
 * @throws InputError `RECIPE` for a text that is no template and no known name.
 */
export async function chatTemplateFiles(
  wanted: string,
  companion: string,
  folders: readonly string[],
): Promise<Record<string, string>> {
  const template = wanted === 'auto' ? await mostCommon(folders) : wanted === 'chatml' ? chatml : wanted
  if (template === undefined) return {}
  if (!template.includes('{'))
    throw new InputError(
      'RECIPE',
      `Expected auto, chatml or a Jinja template for chat_template, received "${wanted}"`,
      {
        where: { key: 'chat_template' },
        help: 'write the template itself',
      },
    )
  const config = (await readJson(join(companion, configFile)).catch(() => undefined)) as
    | Record<string, unknown>
    | undefined
  if (!config || !('chat_template' in config)) return { [templateFile]: template }
  const { chat_template: _old, ...rest } = config
  return { [templateFile]: template, [configFile]: `${JSON.stringify(rest, null, 2)}\n` }
}

async function mostCommon(folders: readonly string[]): Promise<string | undefined> {
  const counts = new Map<string, number>()
  for (const folder of folders) {
    const file = await readFile(join(folder, templateFile), 'utf8').catch(() => undefined)
    const config = (await readJson(join(folder, configFile)).catch(() => ({}))) as { chat_template?: unknown }
    const template = file ?? (typeof config.chat_template === 'string' ? config.chat_template : undefined)
    if (template !== undefined) counts.set(template, (counts.get(template) ?? 0) + 1)
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}
