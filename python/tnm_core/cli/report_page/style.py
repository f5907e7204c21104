"""The style sheet of the page: light and dark, down to the width of a phone."""

from __future__ import annotations

# Colours of `tnm_core.plots`, which colour-blind readers tell apart, too; lighter in the dark.
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #22313f; --muted: #5b6975; --line: #dbe1e6;
  --panel: #f4f6f8; --blue: #0072b2; --orange: #e69f00; --purple: #cc79a7; --green: #009e73;
  --grey: #7f7f7f; --red: #c2410c; --kept: #0072b2; --dot: #4a5560; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14191e; --ink: #e2e8ee; --muted: #9aa7b3; --line: #36414b; --panel: #1d242b;
    --blue: #4aa8e0; --orange: #f0b429; --purple: #dd9cc2; --green: #2fc196; --grey: #9a9a9a;
    --red: #f0815a; --kept: #4aa8e0; --dot: #aeb9c3; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.75rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
code, pre, .name { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: .875em; }
pre { background: var(--panel); padding: .75rem 1rem; border-radius: .4rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.breakable, .name { overflow-wrap: anywhere; }
.fine { color: var(--muted); font-size: .8125rem; margin: .125rem 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem;
  margin: 1rem 0 0; }
.figures div { background: var(--panel); border-radius: .4rem; padding: .5rem .75rem; }
.figures dt { color: var(--muted); font-size: .8125rem; line-height: 1.3; }
.figures dd { margin: .1rem 0 0; font-size: 1.125rem; font-variant-numeric: tabular-nums; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .75rem 0;
  padding: 0; font-size: .875rem; }
.swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem;
  margin-right: .4rem; vertical-align: -.05rem; }
.swatch.random { width: 0; border-radius: 0; border-left: 2px dotted var(--ink);
  margin: 0 .7rem 0 .3rem; }
.blue { background: var(--blue); } .orange { background: var(--orange); }
.purple { background: var(--purple); } .green { background: var(--green); }
.grey { background: var(--grey); } .red { background: var(--red); }
.layers { list-style: none; margin: 0; padding: 0; }
.layer { position: relative; display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr);
  gap: .25rem 1.25rem; align-items: center; padding: .5rem 0; border-top: 1px solid var(--line); }
.layer .fine { font-variant-numeric: tabular-nums; }
.bar { position: relative; display: flex; align-items: center; gap: .6rem; height: 1.05rem; }
.track { position: relative; flex: 1; height: .55rem; background: var(--panel);
  border-radius: .15rem; }
.fill { display: block; height: 100%; border-radius: .15rem; }
.mark { position: absolute; top: -.25rem; bottom: -.25rem; width: 0; margin-left: -1px;
  border-left: 2px dotted var(--ink); }
.figure { width: 3.4rem; text-align: right; font-size: .8125rem; line-height: 1;
  font-variant-numeric: tabular-nums; }
.masks { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 1.5rem; }
.mask { margin: 0; min-width: 0; max-width: 30rem; }
.mask svg { display: block; width: 100%; height: auto; margin: .4rem 0; }
.paper { fill: var(--panel); } .kept { fill: var(--kept); }
.k1 { fill-opacity: .35; } .k2 { fill-opacity: .55; } .k3 { fill-opacity: .78; }
.dot { fill: var(--dot); } .tiles { fill: none; stroke: var(--ink); stroke-width: .12; }
table { border-collapse: collapse; margin: .5rem 0; font-size: .9375rem; }
th, td { text-align: left; padding: .3rem 1.25rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; font-weight: normal; }
thead th { color: var(--muted); font-size: .8125rem; }
td { font-variant-numeric: tabular-nums; }
table:not(.origin) td, table:not(.origin) thead th:not(:first-child) { text-align: right;
  white-space: nowrap; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; }
summary code { color: var(--muted); }
.names { margin: .25rem 0 .5rem; padding-left: 1.25rem; list-style: none; font-size: .875rem; }
@media (max-width: 40rem) {
  main { padding: 1rem 1rem 3rem; }
  .layer { grid-template-columns: minmax(0, 1fr); }
  .name { font-size: .8125rem; }
  th, td { padding-right: .6rem; }
}
@media print { .layer, .mask, tr { break-inside: avoid; } }
"""
