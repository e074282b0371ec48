// Markdown as the documentation uses it: anchors of headings, links, and text that must not be read as HTML.

/** A heading's anchor, as code hosts make it: lower case, spaces to hyphens, everything else but letters, digits, hyphens and underscores left out. */
export function slug(heading) {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/<[^>]*>|[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-')
}

/** Anchors of a page; a heading that comes again gets a number. */
export function anchorsOf(text) {
  const seen = new Map()
  const anchors = new Set()
  for (const [, heading] of withoutCode(text).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const name = slug(heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', ''))
    const before = seen.get(name) ?? 0
    seen.set(name, before + 1)
    anchors.add(before === 0 ? name : `${name}-${before}`)
  }
  return anchors
}

/** The page with its fenced blocks blanked, line for line. */
export function withoutCode(text) {
  return text.replaceAll(/^(`{3,})[^\n]*\n[\s\S]*?^\1\s*$/gm, (block) => block.replaceAll(/[^\n]/g, ''))
}

/** Links of a page outside of code: where they stand and lead. */
export function linksOf(text) {
  const plain = withoutCode(text).replaceAll(/`[^`\n]*`/g, (code) => ' '.repeat(code.length))
  return [...plain.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => ({
    target: match[1],
    line: plain.slice(0, match.index).split('\n').length,
  }))
}

/** Text for a table cell or a paragraph: nothing in it is markup. */
export const plain = (text) =>
  String(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('|', '\\|')
    .replaceAll('{{', '{&#8203;{')
