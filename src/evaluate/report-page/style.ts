/** The look of a report page: one typeface, tabular figures, hairlines; colour only where it means something. */
export const style = `
:root {
  --paper: #fdfdfc; --ink: #1c2024; --soft: #5d656d; --faint: #6b737b; --line: #e4e6e7; --wash: #f3f4f4;
  --blue: #2a6aa6; --blue-wash: #d9e6f2; --orange: #b9541a; --orange-wash: #f5d8c1;
  --s0: #b54c12; --s1: #e1894f; --s2: #f0bd93; --s3: #eee3d6; --s4: #c9dcec; --s5: #8fb8db; --s6: #3a74a9;
  --t0: #fff; --t1: #24190f; --t2: #24190f; --t3: #2b2721; --t4: #14212d; --t5: #0d1b28; --t6: #fff;
  --none: #f0f1f1;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131619; --ink: #e3e6e9; --soft: #9aa3ab; --faint: #868f98; --line: #2a2f34; --wash: #1b1f23;
    --blue: #79b0e0; --blue-wash: #203a52; --orange: #ec9a5e; --orange-wash: #553721;
    --s0: #d96a28; --s1: #a95826; --s2: #6f4529; --s3: #3a3632; --s4: #253a4d; --s5: #2f5a80; --s6: #4a8cc4;
    --t0: #160b03; --t1: #fff; --t2: #f6e6da; --t3: #e6dfd7; --t4: #d8e5f0; --t5: #eaf3fb; --t6: #06121d;
    --none: #202428;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; padding: 0 clamp(14px, 2.6vw, 64px) 64px;
}
h1, h2, h3, h4, p, dl, dd, figure, pre { margin: 0; }
h1 { font-size: 21px; font-weight: 620; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 16px; font-weight: 620; margin-bottom: 14px; display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 12px; }
h3 { font-size: 17px; font-weight: 620; overflow-wrap: anywhere; }
h4 { font-size: 12.5px; font-weight: 600; color: var(--soft); margin: 18px 0 6px; }
small, h2 small, h3 small, h4 small { font-size: 12.5px; font-weight: 400; color: var(--faint); }
h3 small, h4 small { margin-left: 8px; }
code, pre { font: inherit; }
a { color: inherit; text-decoration-color: var(--faint); text-underline-offset: 3px; }
button, input { font: inherit; color: inherit; }
button { background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 1px; border-radius: 2px; }
.note { color: var(--soft); font-size: 12.5px; }
table { border-collapse: collapse; }
th { font-weight: inherit; text-align: left; }
thead th { color: var(--soft); font-size: 12.5px; font-weight: 400; white-space: nowrap; }
td { text-align: right; white-space: nowrap; }
b { font-weight: inherit; }

header { display: flex; flex-wrap: wrap; gap: 4px 28px; align-items: baseline; padding: 22px 0 14px; border-bottom: 1px solid var(--line); }
header > div { display: flex; flex-wrap: wrap; gap: 0 14px; align-items: baseline; }
header p { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 0 14px; }
.facts > *:not(:last-child)::after { content: "·"; margin-left: 14px; color: var(--faint); }
header nav { margin-left: auto; display: flex; flex-wrap: wrap; gap: 2px 16px; }
header nav a { color: var(--soft); text-decoration: none; padding: 3px 0; }
header nav a:hover { color: var(--ink); text-decoration: underline; }
main > section, .two > section { padding-top: 30px; }
main > section:first-child { padding-top: 22px; }

.figures { display: flex; flex-wrap: wrap; gap: 16px clamp(22px, 3vw, 56px); }
.figures dd { font-size: 31px; line-height: 1.1; font-weight: 560; letter-spacing: -.02em; }
.figures dt { color: var(--soft); font-size: 13px; margin-top: 2px; }
.figures > div { min-width: 62px; }
.figures dt small { display: block; }
.figures.small { display: grid; grid-template-columns: repeat(5, max-content); gap: 8px 6px; margin-top: 12px; justify-content: space-between; }
.figures.small dd { font-size: 17px; font-weight: 560; }
.figures.small dt { font-size: 12.5px; margin: 0; }
.summary { display: grid; grid-template-columns: minmax(0, 1fr); gap: 10px 56px; margin-top: 22px; }
@media (min-width: 1000px) { .summary { grid-template-columns: minmax(380px, 2fr) 5fr; } }
.levels { width: 100%; max-width: 620px; align-self: start; margin-top: 18px; }
.levels th, .levels td { padding: 3px 0 3px 14px; border-bottom: 1px solid var(--line); }
.levels th:first-child { padding-left: 0; width: 44px; }
.levels thead th:not(:first-child) { text-align: right; }
.levels .share { width: 32%; }
.share { position: relative; }
td.share::before, td.f1::before {
  content: ""; position: absolute; left: 14px; top: calc(2px + .72em - 4px); height: 9px; width: calc((100% - 66px) * var(--w)); background: var(--blue); opacity: .45; border-radius: 1px;
  print-color-adjust: exact; -webkit-print-color-adjust: exact;
}
td.share a, td.f1 b { position: relative; }
.figures a, .share a { text-decoration: none; }
.figures a:hover, .share a:hover { text-decoration: underline; text-decoration-thickness: 1px; }
.measures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 205px), 1fr)); gap: 0 32px; }
.measures dl > div { display: flex; justify-content: space-between; gap: 12px; padding: 2px 0; border-bottom: 1px solid var(--line); }
.measures dt { color: var(--soft); }
.measures dd { flex: none; max-width: 72%; overflow-wrap: anywhere; text-align: right; }

.legend { margin-left: auto; display: flex; font-size: 11.5px; font-weight: 400; }
.legend span { min-width: 34px; text-align: center; padding: 1px 4px; }
.shade-0 { --c: var(--s0); --t: var(--t0); } .shade-1 { --c: var(--s1); --t: var(--t1); } .shade-2 { --c: var(--s2); --t: var(--t2); }
.shade-3 { --c: var(--s3); --t: var(--t3); } .shade-4 { --c: var(--s4); --t: var(--t4); } .shade-5 { --c: var(--s5); --t: var(--t5); }
.shade-6 { --c: var(--s6); --t: var(--t6); } .shade-none { --c: var(--none); --t: var(--soft); }
.legend span, .node { background: var(--c); color: var(--t); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.tree { display: grid; grid-template-columns: minmax(0, 1fr); gap: 18px 32px; }
.board { position: relative; height: clamp(420px, 72vh, 1000px); overflow: hidden; background: var(--paper); }
.node {
  position: absolute; overflow: hidden; cursor: pointer; font-size: 12px; line-height: 1.25; padding: 0 6px;
  display: flex; align-items: center; justify-content: space-between; gap: 8px; white-space: nowrap;
  box-shadow: inset 0 -1px var(--paper); user-select: none;
}
.node.thin { box-shadow: none; }
.node.low { font-size: 11px; line-height: 1; }
.node span { overflow: hidden; text-overflow: ellipsis; min-width: 0; }
.node b { flex: none; }
.node em { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.node i { flex: none; font-style: normal; opacity: .88; margin-left: auto; }
.node:hover { filter: brightness(1.06) saturate(1.15); }
.node.chosen { outline: 2px solid var(--ink); outline-offset: -2px; z-index: 1; }
.node:focus-visible { outline: 3px solid var(--ink); outline-offset: -3px; z-index: 2; }
.node.strip { padding: 6px 0; justify-content: flex-start; writing-mode: vertical-rl; transform: rotate(180deg); align-items: center; justify-content: center; cursor: zoom-out; box-shadow: none; }
.node.inner::after { content: "›"; opacity: .6; margin-left: -4px; }
#tip {
  position: fixed; z-index: 9; pointer-events: none; visibility: hidden; max-width: min(420px, 90vw); padding: 5px 9px;
  background: var(--ink); color: var(--paper); font-size: 12.5px; border-radius: 3px;
}
#tip[data-shown] { visibility: visible; }
#detail { min-width: 0; }
@media (min-width: 960px) {
  .tree { grid-template-columns: minmax(0, 1fr) minmax(340px, 27%); }
  #detail { height: clamp(420px, 72vh, 1000px); overflow-y: auto; padding-right: 10px; scrollbar-width: thin; }
}
.crumbs { color: var(--faint); font-size: 12.5px; margin-bottom: 2px; }
.about { color: var(--soft); margin-top: 4px; }
.label { text-decoration: underline; text-decoration-color: transparent; text-underline-offset: 3px; overflow-wrap: anywhere; }
.label:hover { text-decoration-color: var(--faint); }
#detail table { width: 100%; }
#detail th[scope=row], #detail td { padding: 2px 0 2px 10px; border-bottom: 1px solid var(--line); vertical-align: baseline; }
#detail th[scope=row] { padding-left: 0; }
#detail th small { margin-left: 8px; }
.mistakes thead th { padding-left: 10px; }
.bar { width: 30%; text-align: left; position: relative; }
#detail .mistakes th[scope=row], #detail .mistakes td { vertical-align: top; }
.bar span { position: absolute; left: 10px; top: 5px; height: 14px; width: calc((100% - 10px) * var(--w)); background: var(--orange-wash); border-radius: 1px; }
.bar b { position: relative; padding-left: 5px; }
td.f1 { position: relative; width: 108px; min-width: 96px; }
td.f1::before { background: var(--c); opacity: 1; }
#detail .weak td.f1 { width: 96px; }
#detail .weak th[scope=row], #detail .weak td { vertical-align: top; }
#detail .weak small.above { display: block; margin: 0; max-width: 100%; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.weak { table-layout: fixed; }
.weak td:last-child { width: 6em; }
.matrix { table-layout: fixed; }
#detail .matrix th, #detail .matrix td { border: 0; padding: 0; }
#detail .matrix th[scope=row] { padding-right: 8px; }
.matrix th[scope=row] { width: 46%; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.matrix th:first-child { width: 46%; }
.matrix .label { max-width: calc(100% - 20px); overflow: hidden; text-overflow: ellipsis; vertical-align: bottom; }
.matrix th i { float: right; font-style: normal; color: var(--faint); font-size: 11.5px; }
.matrix thead th { text-align: center; font-size: 11.5px; color: var(--faint); }
#detail .matrix td { height: 21px; text-align: center; font-size: 11.5px; border: 1px solid var(--paper); background: var(--wash); overflow: hidden; }
#detail .matrix td[style] { background: color-mix(in srgb, var(--s0) calc(100% * var(--s)), var(--wash)); }
#detail .matrix td.strong { color: var(--t0); }
#detail .matrix td.same { background: none; }

.two { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0 48px; }
@media (min-width: 1180px) { .two { grid-template-columns: minmax(0, 7fr) minmax(0, 5fr); } }
.tools { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; margin-bottom: 10px; }
input[type=search] {
  background: var(--wash); border: 1px solid var(--line); border-radius: 4px; padding: 4px 9px; width: 210px; max-width: 100%; appearance: none;
}
.choice { display: flex; border: 1px solid var(--line); border-radius: 4px; overflow: hidden; }
.choice button { padding: 3px 11px; color: var(--soft); }
.choice button + button { border-left: 1px solid var(--line); }
.choice button[aria-pressed=true] { background: var(--wash); color: var(--ink); }
.choice button:focus-visible { outline-offset: -2px; }
.only { border: 1px solid var(--line); border-radius: 4px; padding: 3px 9px; background: var(--blue-wash); }
.scroll { max-height: min(74vh, 860px); overflow: auto; scrollbar-width: thin; position: relative; }
.labels { width: 100%; }
.labels thead th { position: sticky; top: 0; background: var(--paper); z-index: 2; padding: 4px 0 4px 14px; border-bottom: 1px solid var(--line); }
.labels thead th:first-child { padding-left: 22px; }
.labels thead th:not(:first-child) { text-align: right; }
.labels thead button:hover { color: var(--ink); }
.labels thead [aria-sort=ascending] button::after { content: " ↑"; }
.labels thead [aria-sort=descending] button::after { content: " ↓"; }
.labels tbody th, .labels tbody td { padding: 2px 0 2px 14px; border-bottom: 1px solid var(--line); }
.labels tbody th, .labels tbody td { vertical-align: top; }
.labels tbody th { padding-left: calc(var(--indent) * 18px); }
.labels th > div { display: flex; align-items: flex-start; }
.labels tbody th small { margin-left: 8px; }
.labels tr.chosen th, .labels tr.chosen td { background: var(--wash); }
.labels tr:hover th .label { text-decoration-color: var(--faint); }
.toggle { flex: none; width: 22px; text-align: center; color: var(--faint); }
button.toggle::before { content: "▸"; font-size: 11px; }
button.toggle[aria-expanded=true]::before { content: "▾"; }
.more { color: var(--soft); padding: 7px 0; text-decoration: underline; text-decoration-color: var(--line); text-underline-offset: 3px; }
.more:hover { color: var(--ink); text-decoration-color: var(--faint); }
@media (max-width: 620px) { .labels tbody th { padding-left: calc(var(--indent) * 10px); } .labels tr > :nth-child(3), .labels tr > :nth-child(4), .labels tr > :nth-child(6) { display: none; } }

.pair { border-bottom: 1px solid var(--line); }
.pair summary, .sides { display: grid; grid-template-columns: minmax(0, 1fr) minmax(110px, 30%) minmax(0, 1fr); gap: 0 12px; align-items: center; }
.pair summary { padding: 4px 0; cursor: pointer; list-style: none; }
.pair summary::-webkit-details-marker { display: none; }
.pair summary:hover { background: var(--wash); }
.pair summary > span { overflow-wrap: anywhere; }
.pair .a, .pair .b { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; line-height: 1.3; }
.pair .a { text-align: right; }
.pair summary small { grid-column: 1 / -1; text-align: center; line-height: 1.2; }
.pair summary small:empty { display: none; }
.bars { display: grid; grid-template-columns: 1fr 1fr; }
.bars span { position: relative; height: 18px; }
.bars span::before { content: ""; position: absolute; top: 2px; bottom: 2px; width: calc(100% * var(--w)); background: var(--orange-wash); }
.bars .left::before { right: 0; } .bars .right::before { left: 0; }
.bars .left { text-align: right; padding-right: 6px; border-right: 1px solid var(--faint); } .bars .right { padding-left: 6px; }
.bars b { position: relative; font-size: 12.5px; line-height: 18px; }
@media (max-width: 560px) {
  .pair summary { grid-template-columns: 1fr 1fr; }
  .bars { grid-row: 2; grid-column: 1 / -1; }
  .pair summary { gap: 0; } .pair .a { padding-right: 8px; } .pair .b { padding-left: 8px; }
}
.sides { color: var(--faint); font-size: 12px; padding-bottom: 4px; border-bottom: 1px solid var(--line); grid-template-columns: 1fr 1fr; gap: 24px; }
.sides span:first-child { text-align: right; }
.behind { padding: 2px 0 12px; }

#chart-list { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 26px 48px; }
.chart { min-width: 0; max-width: 760px; }
.chart figcaption { font-size: 13.5px; font-weight: 600; display: flex; flex-wrap: wrap; gap: 0 10px; align-items: baseline; margin-bottom: 6px; }
.chart svg { display: block; overflow: visible; }
.chart text { fill: var(--soft); font-size: 11.5px; }
.chart .name { fill: var(--faint); }
.axes line { stroke: var(--line); } .axes .base, .axes .tick { stroke: var(--faint); }
.chart path { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart path.raw { stroke-width: 1; opacity: .35; }
.line-0 { stroke: var(--blue); } .line-1 { stroke: var(--orange); } .line-2 { stroke: var(--ink); } .line-3 { stroke: var(--faint); }
.chart circle.line-0 { fill: var(--blue); } .chart circle.line-1 { fill: var(--orange); } .chart circle.line-2 { fill: var(--ink); } .chart circle.line-3 { fill: var(--faint); }
.chart text.end { stroke: none; font-size: 12px; }
.chart text.line-0 { fill: var(--blue); } .chart text.line-1 { fill: var(--orange); } .chart text.line-2 { fill: var(--ink); }
.cross { visibility: hidden; stroke: var(--faint); stroke-dasharray: 2 3; }
.cross[data-shown] { visibility: visible; }
.readout { color: var(--soft); font-size: 12.5px; min-height: 1.5em; white-space: pre-wrap; }
.bin .share { fill: var(--blue-wash); } .bin .amount { fill: var(--line); } .bin .touch { fill: transparent; }
.bin .gap { stroke: var(--blue); stroke-width: 2; } .bin .gap.over { stroke: var(--orange); }
.bin { cursor: pointer; } .bin.here .share { fill: var(--blue); } .bin.here .amount { fill: var(--faint); }
.ideal { stroke: var(--faint); stroke-dasharray: 3 3; pointer-events: none; }

#row-list .growing { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 0 48px; }
.row { border-bottom: 1px solid var(--line); padding: 9px 0 8px; position: relative; min-width: 0; }
.row .text { overflow-wrap: anywhere; padding-right: 62px; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden; }
.row .number { position: absolute; right: 0; top: 11px; color: var(--faint); font-size: 11.5px; }
.said { display: grid; grid-template-columns: 58px minmax(0, 1fr); gap: 0 10px; font-size: 12.5px; margin-top: 4px; align-items: baseline; }
.said i { font-style: normal; color: var(--faint); }
.said.next { color: var(--soft); }
.truth { color: var(--ink); text-decoration: underline; text-decoration-color: var(--faint); text-underline-offset: 3px; }
.said > div, .path { display: flex; flex-wrap: wrap; gap: 2px 14px; min-width: 0; }
.path { gap: 2px 0; }
.step + .step::before { content: "›"; color: var(--faint); margin: 0 6px; }
.step { position: relative; overflow-wrap: anywhere; }
.step b { color: var(--soft); margin-left: 5px; }
.step[style] span { border-bottom: 3px solid transparent; padding-bottom: 1px;
  background: linear-gradient(var(--blue), var(--blue)) left bottom / calc(100% * var(--p)) 2px no-repeat border-box, linear-gradient(var(--line), var(--line)) left bottom / 100% 2px no-repeat border-box; }
.step.wrong { color: var(--orange); }
.step.wrong b { color: inherit; }
.step.wrong[style] span { background: linear-gradient(var(--orange), var(--orange)) left bottom / calc(100% * var(--p)) 2px no-repeat border-box, linear-gradient(var(--line), var(--line)) left bottom / 100% 2px no-repeat border-box; }
.step:hover { text-decoration: underline; text-underline-offset: 4px; }
.none { color: var(--orange); }

.command { display: flex; gap: 12px; align-items: start; background: var(--wash); border-radius: 4px; padding: 9px 12px; }
.command pre { flex: 1; white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: 13px; }
.command button { color: var(--soft); }
.wide { overflow-x: auto; margin-top: 18px; }
.inputs th, .inputs td { padding: 3px 20px 3px 0; border-bottom: 1px solid var(--line); text-align: left; }
.inputs td:nth-child(3), .inputs td:nth-child(4), .inputs thead th:nth-child(3), .inputs thead th:nth-child(4) { text-align: right; }
.inputs code { color: var(--soft); font-size: 12.5px; }
@media (min-width: 2000px) { body { font-size: 15px; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  body { font-size: 11px; padding: 0; }
  header nav, .tools, .more, [data-copy] { display: none; }
  .scroll, #detail { max-height: none; height: auto; overflow: visible; }
  .board { height: 560px; }
  .row, .pair, figure, tr { break-inside: avoid; }
}
`
