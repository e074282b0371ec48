// Builds the documentation site into .site/dist: the pages of docs/, and pages made from the program itself (verbs, methods, results, the API).
// `node scripts/docs/build.mjs --pages` makes the pages only.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { apiOf, commentMarkdown } from './api.mjs'
import { plain, slug } from './markdown.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const docs = join(root, 'docs')
const site = join(root, '.site')
const dist = (path) => import(pathToFileURL(join(root, 'dist', path)).href)

if (!existsSync(join(root, 'dist/index.d.ts'))) {
  console.error('the package is not built: run npm run build')
  process.exit(1)
}

function write(path, text) {
  const file = join(site, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

/** Title of a page: its first heading. */
const titleOf = (text) => /^#\s+(.+)$/m.exec(text)?.[1] ?? ''

/**
 * Links that leave docs/ name a file of the repository: they are shown as such. Links to folders lead to their index. A page that is called by its
 * file's name has its title here.
 */
function settled(text, from) {
  return text.replaceAll(/\[([^\]]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)/g, (whole, label, target) => {
    const [path] = target.split('#')
    const inside = posix.normalize(posix.join(posix.dirname(from), path))
    if (inside.startsWith('..') || !existsSync(join(docs, inside)))
      return `${label} (\`${inside.replace(/^(\.\.\/)+/, '')}\`)`
    if (!label.endsWith('.md')) return whole
    return `[${titleOf(readFileSync(join(docs, inside), 'utf8')) || label}](${target})`
  })
}

rmSync(site, { recursive: true, force: true })
mkdirSync(site)

/** docs/ as it is. */
function copyDocs() {
  const names = readdirSync(docs, { recursive: true }).map(String)
  for (const name of names.filter((name) => name.endsWith('.md') && !name.startsWith('.vitepress'))) {
    const path = name.split('\\').join('/')
    write(path, settled(readFileSync(join(docs, name), 'utf8'), path))
  }
  for (const name of names.filter((name) => /\.(svg|png)$/.test(name))) cpSync(join(docs, name), join(site, name))
}

/** A page for every command, from its own help; with the guide that says more. */
async function verbPages() {
  const { commands } = await dist('cli/commands/index.js')
  const guides = { merge: 'merging', align: 'merging', pretrain: 'train', demo: 'quick-start' }
  const rows = []
  for (const { name, summary } of commands) {
    const { stdout, status } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), name, '--help'], {
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
    })
    if (status !== 0) throw new Error(`espalier ${name} --help ends with status ${status}`)
    const guide = [guides[name], name].find((page) => page && existsSync(join(docs, `${page}.md`)))
    const more = guide ? `\nThe guide: [${guide}](../${guide}.md).\n` : ''
    write(
      `verbs/${name}.md`,
      `# espalier ${name}\n\n${plain(summary)}.\n${more}\n\`\`\`text\n${stdout.trimEnd()}\n\`\`\`\n`,
    )
    rows.push(`| [${name}](${name}.md) | ${plain(summary)} |`)
  }
  write(
    'verbs/index.md',
    `# Verbs\n\nEvery command with its options, as \`espalier VERB --help\` prints them. The same verbs are functions: see the [API](../api/index.md).\n\n| verb | does |\n| --- | --- |\n${rows.join('\n')}\n`,
  )
  return commands.map(({ name }) => ({ text: name, link: `/verbs/${name}` }))
}

/** A page for every method, from its description, its options and its measurements. */
async function methodPages() {
  const { allMethods } = await dist('cli/methods.js')
  const { describeOptions, describeType } = await dist('cli/method-options.js')
  const methods = await allMethods()
  const byVerb = new Map()
  for (const { info, schema } of methods) {
    const options = describeOptions(schema)
    const described = options.some(({ description }) => description)
    const table = options.map((option) => {
      const fallback = option.required
        ? 'required'
        : option.default === undefined
          ? ''
          : `\`${JSON.stringify(option.default)}\``
      const meaning = described ? ` ${plain(option.description ?? '')} |` : ''
      return `| \`${option.name}\` | ${plain(describeType(option))} | ${fallback} |${meaning}`
    })
    const page = info.results?.replace(/^docs\//, '')
    const measured =
      page === undefined
        ? ''
        : existsSync(join(docs, page))
          ? `\n## Measured\n\n[${plain(titleOf(readFileSync(join(docs, page), 'utf8')) || page)}](../../${page})\n`
          : `\n## Measured\n\n\`${page}\` is not written yet.\n`
    const option = options[0] ? ` --method-option ${options[0].name}=VALUE` : ''
    const calls = {
      train: `espalier train DATA --out DIR --method ${info.name}${option}`,
      align: `espalier align MODEL DATA --out DIR --method ${info.name}${option}`,
      explain: `espalier explain MODEL TEXT --method ${info.name}${option}`,
      organize: `espalier organize DATA --second-column NAME --out DIR --method ${info.name}${option}`,
    }
    const call = calls[info.verb]
    const use =
      call === undefined ? 'How it is used: [Merge methods](../../merge-methods.md).' : `\`\`\`text\n${call}\n\`\`\``
    write(
      `methods/${info.verb}/${info.name}.md`,
      `# ${info.name}\n\n${plain(info.summary)}\n\n- verb: [${info.verb}](${existsSync(join(site, `verbs/${info.verb}.md`)) ? `../../verbs/${info.verb}.md` : '../../verbs/index.md'})\n- status: ${info.status === 'works' ? 'works: its effect was shown on real data' : 'partial: usable, but the claimed effect did not show'}\n- source: ${plain(info.source)}\n\n## Options\n\n${table.length === 0 ? 'None.' : `| option | value | default |${described ? ' |' : ''}\n| --- | --- | --- |${described ? ' --- |' : ''}\n${table.join('\n')}`}\n\n${use}\n${measured}`,
    )
    byVerb.set(info.verb, [...(byVerb.get(info.verb) ?? []), info])
  }
  const tables = [...byVerb].map(
    ([verb, infos]) =>
      `## ${verb}\n\n| method | status | |\n| --- | --- | --- |\n${infos.map((info) => `| [${info.name}](${info.verb}/${info.name}.md) | ${info.status} | ${plain(info.summary)} |`).join('\n')}\n`,
  )
  write(
    'methods/index.md',
    `# Methods\n\n${methods.length} methods describe themselves here; \`espalier systems\` lists the same. Status says whether the effect that a method claims was shown by a script in the repository.\n\n${tables.join('\n')}`,
  )
  return [...byVerb].map(([verb, infos]) => ({
    text: verb,
    collapsed: true,
    items: infos.map(({ name }) => ({ text: name, link: `/methods/${verb}/${name}` })),
  }))
}

function resultPages() {
  const names = readdirSync(join(docs, 'results'))
    .filter((name) => name.endsWith('.md') && name !== 'index.md')
    .sort()
  const pages = names.map((name) => ({
    name,
    title: titleOf(readFileSync(join(docs, 'results', name), 'utf8')) || name,
  }))
  write(
    'results/index.md',
    `# Results\n\nWritten by the scripts in \`bench/\`: each page names its command, date, commit, machine, seeds and spread.\n\n${pages.map(({ name, title }) => `- [${plain(title)}](${name})`).join('\n')}\n`,
  )
  return pages.map(({ name, title }) => ({ text: title, link: `/results/${name.replace('.md', '')}` }))
}

function apiPages() {
  const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const entries = Object.entries(packageJson.exports)
    .flatMap(([path, value]) => (value.types ? [[path, resolve(root, value.types)]] : []))
    .filter(([, file]) => existsSync(file))
  // The main entry is long: a page for each folder. Of the others, one page each.
  const sections = entries.flatMap(([path, file]) => {
    const groups = apiOf(file)
    if (path === '.')
      return groups.map(({ folder, names }) => ({ entry: 'espalier', title: folder.replace('.d.ts', ''), names }))
    return [{ entry: `espalier${path.slice(1)}`, title: path.slice(2), names: groups.flatMap(({ names }) => names) }]
  })
  const files = new Map(
    sections.map((section) => [
      section,
      section.entry === 'espalier' ? section.title : section.entry.replaceAll('/', '-'),
    ]),
  )
  for (const section of sections) {
    const { entry, title, names } = section
    const parts = names.map(({ name, comment, declaration, file }) => {
      const shown = declaration === '' ? '' : `\`\`\`ts\n${declaration}\n\`\`\`\n\n`
      return `## ${name}\n\n${commentMarkdown(comment)}\n\n${shown}<small>${file.split('\\').join('/')}</small>\n`
    })
    write(`api/${files.get(section)}.md`, `# ${title}\n\n\`import { … } from '${entry}'\`\n\n${parts.join('\n')}`)
  }
  const lists = sections.map(
    (section) =>
      `## ${section.entry === 'espalier' ? section.title : section.entry}\n\n${section.names.map(({ name }) => `[${name}](${files.get(section)}.md#${slug(name)})`).join(' · ')}\n`,
  )
  write('api/index.md', `# API\n\nEvery exported name, from the doc comments in the source.\n\n${lists.join('\n')}`)
  return sections.map((section) => ({
    text: section.entry === 'espalier' ? section.title : section.entry,
    link: `/api/${files.get(section)}`,
  }))
}

copyDocs()
const verbs = await verbPages()
const methods = await methodPages()
const results = resultPages()
const api = apiPages()

// Guides are those pages of docs/ that the configuration does not list itself.
const listed = new Set([
  'index',
  'quick-start',
  'concepts',
  'recipes',
  'mergekit',
  'from-hiclass',
  'from-fasttext',
  'from-setfit',
])
const order = [
  'data',
  'labels',
  'train',
  'evaluate',
  'predict',
  'merging',
  'merge-methods',
  'explain',
  'serve',
  'export',
  'browser',
  'studio',
  'cli',
  'errors',
  'engine',
]
const place = (name) => (order.indexOf(name) < 0 ? order.length : order.indexOf(name))
const guides = readdirSync(docs)
  .filter((name) => name.endsWith('.md') && !listed.has(name.replace('.md', '')))
  .map((name) => name.replace('.md', ''))
  .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1))
  .map((name) => ({ text: titleOf(readFileSync(join(docs, `${name}.md`), 'utf8')) || name, link: `/${name}` }))
write(
  'sidebar.json',
  JSON.stringify([
    { text: 'Guides', items: guides },
    { text: 'Verbs', collapsed: true, items: [{ text: 'All verbs', link: '/verbs/' }, ...verbs] },
    { text: 'Methods', collapsed: true, items: [{ text: 'All methods', link: '/methods/' }, ...methods] },
    { text: 'Results', collapsed: true, items: [{ text: 'All results', link: '/results/' }, ...results] },
    { text: 'API', collapsed: true, items: [{ text: 'All names', link: '/api/' }, ...api] },
  ]),
)
const pages = readdirSync(site, { recursive: true }).filter((name) => String(name).endsWith('.md')).length
console.log(`${pages} pages in ${relative(root, site)}`)
if (!process.argv.includes('--pages')) {
  const { build } = await import('vitepress')
  await build(docs)
  console.log('site: .site/dist/index.html')
}
