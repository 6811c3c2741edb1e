'use strict';
// Bars that can be pressed. What is chosen is told by a frame and to a screen reader, not by colour alone.

const SHOWN_BARS = 12;

function bars(entries, chosen, press) {
  const most = Math.max(1, ...entries.map(([, n]) => n)), made = element('div', 'bars');
  const drawn = entries.map(([value, n]) => {
    const on = chosen.includes(value), bar = button('bar', null, () => press(value, !on), `${value}: ${counted(n)} row(s)`), filled = element('span', 'filled');
    filled.style.width = `${100 * n / most}%`;
    bar.setAttribute('aria-pressed', String(on));
    bar.append(said('span', 'name', value), element('span', 'n', counted(n)), filled);
    return bar;
  });
  made.append(...drawn.slice(0, SHOWN_BARS));
  if (drawn.length > SHOWN_BARS) {
    const more = element('details');
    more.append(element('summary', '', `${drawn.length - SHOWN_BARS} more`), ...drawn.slice(SHOWN_BARS));
    more.open = drawn.slice(SHOWN_BARS).some((bar) => bar.getAttribute('aria-pressed') === 'true');
    made.append(more);
  }
  return made;
}

const edgeText = (edge) => (Number.isInteger(edge) ? counted(edge) : String(Number(edge.toPrecision(3))));

function histogram(name, edges, bins, range, press) {
  const made = element('div', 'histogram'), most = Math.max(1, ...bins), columns = element('div', 'columns'), axis = element('div', 'axis');
  const last = bins.findLastIndex((n) => n > 0), whole = name !== 'score', end = whole ? Math.max(last, 0) : bins.length - 1;
  for (let i = 0; i <= end; i += 1) {
    const open = i === bins.length - 1, [low, high] = [edges[i], open ? null : edges[i + 1]];
    const on = Boolean(range) && (range[0] ?? -Infinity) <= low && (range[1] ?? Infinity) >= (high ?? Infinity), filled = element('span', 'filled');
    const told = whole ? (edges[i + 1] - low <= 1 ? edgeText(low) : `${edgeText(low)} to ${edgeText(edges[i + 1] - 1)}`) : `${edgeText(low)} to ${edgeText(edges[i + 1])}`;
    const bar = button('column', null, () => press(on ? null : [low, high]), `${told}: ${counted(bins[i])} row(s)`);
    bar.setAttribute('aria-pressed', String(on));
    filled.style.height = `${bins[i] ? Math.max(3, 100 * bins[i] / most) : 0}%`;
    bar.append(filled);
    columns.append(bar);
    axis.append(element('span', '', (whole || i % 5 === 0) ? edgeText(low) : ''));
  }
  made.append(columns, axis);
  return made;
}

// Recall and precision over thresholds: a solid and a dashed line, and the same as a table.
function lines(told) {
  const [wide, high, left, below] = [300, 150, 26, 16], marks = told.points.map(([mark]) => mark), low = Math.min(...marks), span = (Math.max(...marks) - low) || 1;
  const x = (mark) => left + (wide - left - 8) * (mark - low) / span, y = (share) => 8 + (high - below - 8) * (1 - share);
  const part = (name, about, text) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(about)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const drawn = part('svg', { class: 'lines', viewBox: `0 0 ${wide} ${high}`, role: 'img', 'aria-label': `${told.title}: ${told.what}` });
  for (const share of [0, 0.5, 1]) drawn.append(part('line', { class: 'rule', x1: left, x2: wide - 8, y1: y(share), y2: y(share) }), part('text', { x: 2, y: y(share) + 3 }, share));
  for (const [at, anchor] of [[low, 'start'], [low + span, 'end']]) drawn.append(part('text', { x: x(at), y: high - 3, 'text-anchor': anchor }, edgeText(at)));
  if (told.at !== null && told.at >= low && told.at <= low + span) drawn.append(part('line', { class: 'at', x1: x(told.at), x2: x(told.at), y1: y(1), y2: y(0) }), part('text', { x: x(told.at) + 3, y: high - 3 }, edgeText(told.at)));
  for (const [name, place] of [['precision', 2], ['recall', 1]]) drawn.append(part('polyline', { class: name, points: told.points.filter((point) => point[place] !== null).map((point) => `${x(point[0])},${y(point[place])}`).join(' ') }));
  const numbers = element('details'), made = element('table'), row = (tag, cells) => { const one = element('tr'); one.append(...cells.map((cell) => element(tag, 'n', cell))); return one; };
  made.append(row('th', ['threshold', 'recall', 'precision']), ...told.points.map(([mark, ...shares]) => row('td', [edgeText(mark), ...shares.map((share) => (share === null ? '–' : share.toFixed(3)))])));
  numbers.append(element('summary', '', 'numbers'), made);
  const box = element('div');
  box.append(drawn, element('div', 'dim', `— recall, - - precision; ${told.what}`), numbers);
  return box;
}
