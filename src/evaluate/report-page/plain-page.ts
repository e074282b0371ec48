/** The shell of pages that stand in one file beside the report of an evaluation: same look, no network, light and dark. */
import { Html, html } from './html.ts'
import { style } from './style.ts'

/** A part of a page: sections, with the style and the script that they need. */
export interface PagePart {
  readonly sections: Html
  readonly style?: string
  readonly script?: string
  /** Attributes of the body that style and script go by, such as `data-shown`. */
  readonly attributes?: Readonly<Record<string, string>>
}

/** A page of a title, a line of facts and some parts. */
export function plainPage(title: string, facts: readonly string[], parts: readonly PagePart[]): string {
  const attributes = parts.flatMap((part) => Object.entries(part.attributes ?? {}))
  const styles = parts.map((part) => part.style ?? '').join('\n')
  const scripts = parts.flatMap((part) => (part.script === undefined ? [] : [`{${part.script}}`])).join('\n')
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Html(style)}${new Html(styles)}</style>
</head>
<body${attributes.map(([name, value]) => html` ${new Html(name)}="${value}"`)}>
<header><div><h1>${title}</h1></div>
<p class="facts">${facts.map((fact) => html`<span>${fact}</span>`)}</p></header>
<main>${parts.map(({ sections }) => sections)}</main>
<script>${new Html(scripts)}</script>
</body>
</html>
`.source
}
