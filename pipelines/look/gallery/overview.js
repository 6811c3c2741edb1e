'use strict';
// The first view: what came in and what was kept, how the rows lie, what it cost. A press chooses, here and in all other views.

function showOverview() {
  const cards = [books(), ...FACETS.filter((name) => (counts.facets[name] ?? []).length).map(values), ...Object.keys(about.edges).filter((name) => (counts.bins[name] ?? []).some((n) => n)).map(measure), ...about.curves.map(curve), cost()];
  const go = button('go', `show ${counted(counts.total)} ${state.view} row(s)`, () => change({ show: 'list' }));
  byId('overview').replaceChildren(go, ...cards.filter(Boolean));
}

function card(title, ...parts) {
  const made = element('section', 'card'), head = element('h2', '', title);
  made.setAttribute('aria-label', title);
  made.append(head, ...parts);
  return made;
}

const values = (name) => card(labelOf(name), bars(counts.facets[name], state.values[name] ?? [], (value, on) => choose(name, value, on)));
const measure = (name) => card(measureOf(name), histogram(name, about.edges[name], counts.bins[name], state.ranges[name], (range) => bound(name, range)));

// The books: of every unit and source how much was kept, and the reasons of the rest, as one bar each.
function books() {
  const own = rowUnit(), units = [...new Set([own, ...about.books.map((line) => line.unit)])].filter((unit) => about.books.some((line) => line.unit === unit)), made = card('yield: what came in, kept or why not');
  made.classList.add('wide');
  for (const unit of units) {
    made.append(element('h3', '', unit));
    made.append(...about.books.filter((line) => line.unit === unit).map(yieldOf));
  }
  return made;
}

const rowUnit = () => (about.kind === 'mix' ? 'sample' : 'candidate');

function yieldOf(line) {
  const row = element('div', 'yield'), bar = element('div', 'stack'), rows = line.unit === rowUnit();
  const share = line.n_in ? `${(100 * line.kept / line.n_in).toFixed(1)} %` : '–';
  const part = (className, n, told, where) => {
    const piece = button(className, null, () => change({ ...EMPTY, ...where, show: 'list' }), `${line.source}, ${told}: ${counted(n)} of ${counted(line.n_in)} ${line.unit}(s)`);
    piece.style.flexGrow = n;
    piece.disabled = !where;
    return piece;
  };
  if (line.kept) bar.append(part('kept', line.kept, 'kept', rows ? { view: 'kept', values: { source: [line.source] } } : null));
  Object.entries(line.rejected).sort(([, n], [, m]) => m - n).forEach(([reason, n], i) => {
    bar.append(part(`out out${i % 3}`, n, reason, { view: 'rejected', values: { source: [line.source], reason: [reason], unit: [line.unit] } }));
  });
  row.append(said('span', 'name', line.source), bar, element('span', 'n', `${counted(line.kept)} of ${counted(line.n_in)}, ${share}`));
  return row;
}

const curve = (told) => card(told.title, lines(told));

function cost() {
  const lines = Object.entries(about.cost.by_source ?? {});
  if (!about.cost.total?.requests) return null;
  const made = element('table'), head = element('tr'), cells = (told) => [told.requests, told.prompt_tokens, told.completion_tokens, (told.money ?? 0).toFixed(4)];
  head.append(...['source', 'requests', 'prompt tokens', 'completion tokens', 'money'].map((name) => element('th', '', name)));
  made.append(head, ...[...lines, ['all', about.cost.total]].map(([name, told]) => {
    const row = element('tr');
    row.append(said('td', '', name), ...cells(told).map((cell) => element('td', 'n', typeof cell === 'number' ? counted(cell) : cell)));
    return row;
  }));
  return card('what the calls cost', made);
}
