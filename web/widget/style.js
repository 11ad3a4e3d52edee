// The widget's looks. What pages may change are the --podium-… properties and the parts (docs/widget.md).

export const STYLE = `
:host {
  --_bg: var(--podium-bg, light-dark(#ffffff, #171a21));
  --_text: var(--podium-text, light-dark(#1b1f27, #eceef2));
  --_muted: var(--podium-muted, light-dark(#5b6472, #a0a8b6));
  --_line: var(--podium-line, light-dark(#e6e8ec, #2a2f3a));
  --_accent: var(--podium-accent, light-dark(#3b5bdb, #8ea6ff));
  --_up: var(--podium-up, light-dark(#15743a, #5fd68b));
  --_down: var(--podium-down, light-dark(#b42318, #ff9a8f));
  --_tint: 13%; /* of a row that flashes: at more, text on it would fall below 4.5:1 */
  display: block;
  container-type: inline-size;
  color-scheme: light dark;
  color: var(--_text);
  font-family: var(--podium-font, system-ui, sans-serif);
  line-height: 1.35;
}
:host([theme=light]) { color-scheme: light; }
:host([theme=dark]) { color-scheme: dark; }
:host([hidden]), [hidden] { display: none !important; }
section {
  background: var(--_bg);
  border: 1px solid var(--_line);
  border-radius: var(--podium-radius, 14px);
  overflow: hidden;
}
header { display: flex; flex-wrap: wrap; align-items: center; gap: .15rem .75rem; padding: .9rem 1rem .8rem; }
h2 { flex: 1 1 auto; margin: 0; font-size: 1.1rem; overflow-wrap: anywhere; }
[role=status] { display: flex; align-items: center; gap: .45em; color: var(--_muted); font-size: .8rem; }
[role=status]::before { content: ""; box-sizing: border-box; width: .6em; aspect-ratio: 1; border-radius: 50%; border: 2px solid currentColor; }
:host([data-run=live]:is([data-state=live], [data-state=empty])) [role=status]::before { border-color: var(--_up); background: var(--_up); }
:host([data-run=provisional]:is([data-state=live], [data-state=empty])) [role=status]::before { background: linear-gradient(currentColor 50%, transparent 0); }
:host([data-run=final]:is([data-state=live], [data-state=empty])) [role=status]::before { background: currentColor; }
:host([data-state=error]) [role=status]::before { border-color: var(--_down); border-radius: 0; }
[part=details] { flex-basis: 100%; margin: 0; color: var(--_muted); font-size: .8rem; }
ol { position: relative; margin: 0; padding: 0; list-style: none; }
:host([data-state=offline]) ol { color: var(--_muted); filter: grayscale(1); }
[part=around] { border-top: 3px double var(--_line); }
[part=around] li:first-child { border-top: 0; }
li {
  display: grid;
  grid-template-columns: 1.8rem 2.4rem minmax(0, 1fr) auto;
  align-items: center;
  gap: .5rem;
  position: relative;
  min-height: 2.75rem;
  box-sizing: border-box;
  padding: .3rem 1rem;
  border-top: 1px solid var(--_line);
  background: var(--_bg);
}
li[data-move] { z-index: 1; }
li[data-me] { background: color-mix(in srgb, var(--_accent) 12%, var(--_bg)); }
li[data-me]::before { content: ""; position: absolute; inset-block: 0; inset-inline-start: 0; width: 3px; background: var(--_accent); }
[part=rank] { color: var(--_muted); font-variant-numeric: tabular-nums; text-align: center; white-space: nowrap; }
li:is([data-rank="1"], [data-rank="2"], [data-rank="3"]) [part=rank] {
  border-radius: 50%; line-height: 1.8rem; color: #2b2100; font-weight: 700;
}
li[data-rank="1"] [part=rank] { background: #f5c542; }
li[data-rank="2"] [part=rank] { background: #c9d0da; }
li[data-rank="3"] [part=rank] { background: #e0a272; }
[part=move] { font-size: .75rem; font-weight: 700; white-space: nowrap; }
li[data-move=up] [part=move] { color: var(--_up); }
li[data-move=down] [part=move] { color: var(--_down); }
[part=person] { display: flex; align-items: center; gap: .6rem; min-width: 0; }
[part=avatar] { flex: none; width: 1.9rem; height: 1.9rem; border-radius: 50%; object-fit: cover; background: var(--_line); }
[part=name] {
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
  overflow: hidden; overflow-wrap: anywhere; line-height: 1.2;
}
[part=you] { color: var(--_accent); font-size: .8rem; font-weight: 600; }
[part=extra] { display: block; color: var(--_muted); font-size: .75rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
[part=value] { font-variant-numeric: tabular-nums; font-weight: 600; text-align: end; }
[part=message], [part=place] { margin: 0; border-top: 1px solid var(--_line); color: var(--_muted); overflow-wrap: anywhere; }
[part=message] { padding: 1.5rem 1rem 1.75rem; text-align: center; text-wrap: balance; }
[part=place] { padding: .6rem 1rem .7rem; font-size: .85rem; }
@container (max-width: 17rem) {
  li { grid-template-columns: 1.8rem minmax(0, 1fr) auto; padding-inline: .75rem; }
  [part=move] { display: none; }
}
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;
