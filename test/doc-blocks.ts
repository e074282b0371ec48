/** For the documentation's tests: the fenced code blocks of a Markdown page, and what runs of them. */
import { readFileSync } from 'node:fs'

export interface DocBlock {
  page: string
  /** Line of the opening fence, from 1. */
  line: number
  language: string
  /** Marked as an illustration: ```ts no-run */
  isIllustration: boolean
  code: string
  /** The paragraph before it. */
  before: string
}

/** The fenced blocks of a page, in order. */
export function blocksOf(page: string): DocBlock[] {
  const blocks: DocBlock[] = []
  let open: { fence: string; language: string; flags: string[]; line: number; code: string[] } | undefined
  let paragraph: string[] = []
  let last = ''
  for (const [index, text] of readFileSync(page, 'utf8').split('\n').entries()) {
    const fence = /^(`{3,})\s*(.*)$/.exec(text)
    if (open) {
      if (fence && fence[1] === open.fence && fence[2] === '') {
        const { language, flags, line, code } = open
        blocks.push({
          page,
          line,
          language,
          isIllustration: flags.includes('no-run'),
          code: code.join('\n'),
          before: last,
        })
        open = undefined
      } else open.code.push(text)
    } else if (fence) {
      if (paragraph.length > 0) last = paragraph.join(' ')
      paragraph = []
      const [language = '', ...flags] = fence[2]!.split(/\s+/)
      open = { fence: fence[1]!, language, flags, line: index + 1, code: [] }
    } else if (text.trim() !== '') paragraph.push(text)
    else if (paragraph.length > 0) {
      last = paragraph.join(' ')
      paragraph = []
    }
  }
  if (open) throw new Error(`${page} line ${open.line}: a code block has no end`)
  return blocks
}

/** The file that a data block stands for: the last one of its kind that the paragraph before it names in backticks. */
export function fileOf({ language, before }: DocBlock): string | undefined {
  const names = [...before.matchAll(/`([\w-]+\.(\w+))`/g)].filter(([, , extension]) => extension === language)
  return names.at(-1)?.[1]
}

/** TypeScript in which lines such as `tree.size // 5` check that the value is the one in the comment. */
export function withChecks({ page, line, code }: DocBlock): string {
  const checked = code.split('\n').map((text, index) => {
    const [, expression, comment] = /^\s*([\w$][^=]*?)\s+\/\/ (.+)$/.exec(text) ?? []
    const isStatement =
      expression === undefined || /^(import|export|const|let|for|return|await)\b|[,{(]$/.test(expression)
    if (isStatement || !isLiteral(comment!)) return text
    return `assert.deepEqual(${expression}, ${comment}, ${JSON.stringify(`${page} line ${line + index + 1}: ${text.trim()}`)})`
  })
  return `import assert from 'node:assert/strict'\n${checked.join('\n')}\n`
}

function isLiteral(text: string): boolean {
  try {
    JSON.parse(text.replaceAll("'", '"'))
    return true
  } catch {
    return false
  }
}
