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
