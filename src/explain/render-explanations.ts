/** Explanations as one page to read: the text with its tokens coloured, their values below; it stands alone, works offline, in light and dark. */
import { Html, html } from '../evaluate/report-page/html.ts'
import { formatPath } from '../labels/label-tree.ts'
import { version } from '../util/version.ts'
import type { Explanation } from './explain.ts'

/** Strengths of colour, from faint to full. */
const strengths = 5

const style = `
:root {
  --paper: #fdfdfc; --ink: #1c2024; --soft: #5d656d; --line: #e4e6e7;
  --for: 42 106 166; --against: 185 84 26;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #131619; --ink: #e3e6e9; --soft: #9aa3ab; --line: #2a2f34; --for: 121 176 224; --against: 236 154 94; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1100px; padding: 22px clamp(14px, 3vw, 48px) 64px; background: var(--paper); color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; font-variant-numeric: tabular-nums;
}
h1 { font-size: 21px; margin: 0 0 2px; }
h2 { font-size: 16px; margin: 0 0 2px; overflow-wrap: anywhere; }
p { margin: 0; color: var(--soft); }
article { border-top: 1px solid var(--line); margin-top: 22px; padding-top: 18px; }
.text { color: var(--ink); font-size: 19px; line-height: 2; margin: 10px 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.text span { border-radius: 3px; padding: 2px 1px; border-bottom: 2px solid transparent; }
.text .against { border-bottom-style: dotted; }
${Array.from({ length: strengths }, (_, i) => {
  const part = (i + 1) / strengths
  return `.for-${i + 1} { background: rgb(var(--for) / ${(0.5 * part).toFixed(2)}); border-color: rgb(var(--for)) !important; }
.against-${i + 1} { background: rgb(var(--against) / ${(0.5 * part).toFixed(2)}); border-color: rgb(var(--against)) !important; }`
}).join('\n')}
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 8px; }
.key i { display: inline-block; width: 2.2em; height: .9em; border-radius: 3px; border-bottom: 2px solid; vertical-align: -1px; margin-right: 6px; }
summary { cursor: pointer; color: var(--soft); }
summary:focus-visible { outline: 2px solid rgb(var(--for)); outline-offset: 2px; }
table { border-collapse: collapse; margin-top: 8px; }
th { text-align: left; font-weight: 400; color: var(--soft); padding: 1px 14px 1px 0; }
td { padding: 1px 14px 1px 0; }
td:nth-child(2), td:nth-child(3) { text-align: right; }
.bar { width: min(260px, 34vw); }
.bar b { display: block; height: .8em; border-radius: 2px; }
.bar .for { background: rgb(var(--for)); }
.bar .against { background: rgb(var(--against)); }
footer { margin-top: 28px; color: var(--soft); font-size: 12.5px; }
@media print { details { display: none; } }
`

/** Three significant digits, with a sign. */
const signed = (value: number): string => `${value < 0 ? '−' : '+'}${magnitude(value)}`
const magnitude = (value: number): string => String(Number(Math.abs(value).toPrecision(3)))

/**
 * A page of explanations, as HTML text. Everything from outside is escaped.
 * @example
 * await writeFile('why.html', renderExplanations(await explain(model, texts)))
 */
export function renderExplanations(explanations: readonly Explanation[]): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Explanations</title>
<style>${new Html(style)}</style>
</head>
<body>
<header>
<h1>Explanations</h1>
<p class="key"><span><i class="for-4"></i>speaks for the label</span><span><i class="against-4" style="border-bottom-style: dotted"></i>speaks against it</span></p>
</header>
<main>${explanations.map(article)}</main>
<footer>espalier ${version}</footer>
</body>
</html>
`.source
}

function article(explanation: Explanation): Html {
  const { text, tokens, label, probability, method, score, truncated } = explanation
  const most = tokens.reduce((largest, { value }) => Math.max(largest, Math.abs(value)), 0)
  const pieces: (Html | string)[] = []
  let at = 0
  for (const token of tokens) {
    if (token.end <= token.start || token.start < at) continue
    pieces.push(text.slice(at, token.start), span(token, most))
    at = token.end
  }
  pieces.push(text.slice(at))
  const base = score.base === undefined ? '' : `, ${magnitudeSigned(score.base)} without the tokens`
  const error = score.error === undefined ? '' : `; the values sum to the difference, error ${magnitude(score.error)}`
  return html`
<article>
<h2>${formatPath(label)} <small>${probability.toFixed(2)}</small></h2>
<p>${method} of the ${score.kind}: ${magnitudeSigned(score.value)}${base}${error}${truncated ? '. The model reads the beginning of the text only' : ''}.</p>
<p class="text">${pieces}</p>
<details>
<summary>${tokens.length} values</summary>
<table>
<thead><tr><th scope="col">token</th><th scope="col">offsets</th><th scope="col">value</th><th scope="col"></th></tr></thead>
<tbody>${tokens.map((token) => tableRow(token, most))}</tbody>
</table>
</details>
</article>`
}

const magnitudeSigned = (value: number): string => (value < 0 ? `−${magnitude(value)}` : magnitude(value))

interface Token {
  text: string
  start: number
  end: number
  value: number
}

function span({ text, value }: Token, most: number): Html {
  const side = value < 0 ? 'against' : 'for'
  const strength = most === 0 ? 0 : Math.round((Math.abs(value) / most) * strengths)
  const name = strength === 0 ? '' : `${side} ${side}-${strength}`
  return html`<span class="${name}" title="${signed(value)}">${text}</span>`
}

function tableRow({ text, start, end, value }: Token, most: number): Html {
  const side = value < 0 ? 'against' : 'for'
  const width = most === 0 ? 0 : (100 * Math.abs(value)) / most
  return html`<tr><td>${text}</td><td>${start}–${end}</td><td>${signed(value)}</td><td class="bar"><b class="${side}" style="width: ${width.toFixed(1)}%"></b></td></tr>
`
}
