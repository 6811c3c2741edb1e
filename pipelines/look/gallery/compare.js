'use strict';
// Another snapshot beside this one: what changed since, how the histograms moved, and each changed row as it was and as it is.

const WHAT = { added: 'added', removed: 'removed', changed: 'changed', elsewhere: 'left out before and after, for another reason' };
const changesAsked = () => new URLSearchParams(Object.entries(state.change).filter(([, value]) => value));
let comparing = null; // what changed, asked for once

const servedChanges = {
  compared: () => answer('/api/compared'),
  page: (offset) => answer(`/api/changes?${changesAsked()}&offset=${offset}&limit=${PAGE}`),
  place: async (n) => (await answer(`/api/changes/place?${changesAsked()}&n=${n}`)).place,
  entry: (row) => answer(`/api/pair?n=${row.n}`),
};
const matchingChanges = () => PHANTOM_CHANGES.filter((row) => Object.entries(state.change).every(([name, value]) => !value || row[name] === value));
const exportedChanges = {
  compared: async () => PHANTOM_COMPARED,
  async page(offset) {
    const all = matchingChanges();
    return { total: all.length, rows: all.slice(offset, offset + PAGE) };
  },
  async place(n) {
    const at = matchingChanges().findIndex((row) => row.n === n);
    return at < 0 ? null : at;
  },
  entry: async (row) => row.pair,
};
const changes = typeof PHANTOM_CHANGES === 'undefined' ? servedChanges : exportedChanges;

async function showCompare() {
  comparing ??= await changes.compared();
  const { before, after } = comparing.views[state.view], told = (what) => comparing.moves.filter((move) => move.what === what).reduce((sum, move) => sum + move.n, 0);
  const counts = ['added', 'removed', 'changed'].map((what) => button('go', `${counted(told(what))} ${what}`, () => change({ change: { what }, show: 'changes' })));
  const line = element('p', 'counts', `since ${comparing.before.slice(0, 16)}, ${counted(comparing.same)} row(s) the same: `);
  line.append(...counts);
  const cards = [movesCard(), ...FACETS.map((name) => pairedValues(name, before.facets[name], after.facets[name])),
    ...Object.keys(comparing.edges).map((name) => pairedBars(name, before.bins[name], after.bins[name]))];
  const key = element('p', 'counts', `${state.view} rows: `);
  key.append(element('span', 'key was', 'before'), element('span', 'key', 'now'));
  byId('overview').replaceChildren(line, cards[0], key, ...cards.slice(1).filter(Boolean));
}

function movesCard() {
  const made = card('what moved, from and to'), list = element('div', 'bars');
  made.classList.add('wide');
  list.append(...comparing.moves.map((move) => {
    const bar = button('bar', null, () => change({ change: { what: move.what, before: move.before, after: move.after }, show: 'changes' }),
      `${WHAT[move.what]}, from ${move.before} to ${move.after}: ${counted(move.n)} row(s)`);
    bar.append(element('span', 'what', move.what), said('span', 'name', move.what === 'changed' ? columnsOf() : `${move.before} → ${move.after}`), element('span', 'n', counted(move.n)));
    return bar;
  }));
  if (comparing.exported !== undefined) made.append(element('p', 'dim', `rows of ${counted(comparing.exported)} change(s) are in this page`));
  made.append(list);
  return made;
}

const columnsOf = () => comparing.columns.map(([column, n]) => `${column} ${counted(n)}`).join(', ');
const signed = (n) => (n > 0 ? `+${counted(n)}` : counted(n));

function pairedValues(name, was, is) {
  const before = new Map(was), after = new Map(is), names = [...new Set([...after.keys(), ...before.keys()])].slice(0, SHOWN_BARS);
  if (!names.length) return null;
  const most = Math.max(1, ...before.values(), ...after.values()), made = element('table', 'paired');
  made.append(...names.map((value) => {
    const [n, m] = [before.get(value) ?? 0, after.get(value) ?? 0], row = element('tr'), bars = element('td', 'two'), head = said('th', '', value);
    head.scope = 'row';
    for (const [size, kind] of [[n, 'was'], [m, 'is']]) {
      const filled = element('span', `filled ${kind}`);
      filled.style.width = `${100 * size / most}%`;
      if (!size) filled.style.visibility = 'hidden';
      bars.append(filled);
    }
    row.append(head, bars, element('td', 'n', `${counted(n)} → ${counted(m)}`), element('td', 'n', n === m ? '=' : signed(m - n)));
    return row;
  }));
  return card(labelOf(name), made);
}

function pairedBars(name, was, is) {
  const most = Math.max(1, ...was, ...is), edges = comparing.edges[name], whole = name !== 'score';
  const last = Math.max(was.findLastIndex((n) => n > 0), is.findLastIndex((n) => n > 0));
  if (last < 0) return null;
  const columns = element('div', 'columns'), axis = element('div', 'axis'), end = whole ? last : is.length - 1;
  for (let i = 0; i <= end; i += 1) {
    const column = element('div', 'column pair');
    column.title = `${edgeText(edges[i])} to below ${edgeText(edges[i + 1])}: ${counted(was[i])} → ${counted(is[i])}`;
    for (const [size, kind] of [[was[i], 'was'], [is[i], 'is']]) {
      const filled = element('span', `filled ${kind}`);
      filled.style.height = `${Math.max(3, 100 * size / most)}%`;
      if (!size) filled.style.visibility = 'hidden';
      column.append(filled);
    }
    columns.append(column);
    axis.append(element('span', '', whole || i % 5 === 0 ? edgeText(edges[i]) : ''));
  }
  columns.setAttribute('role', 'img');
  columns.setAttribute('aria-label', `${measureOf(name)}, before and now: ${was.join(' ')}; ${is.join(' ')}`);
  return card(measureOf(name), columns, axis);
}

// A changed row as it was and as it is; words that differ between the two are marked where both have the text.
function showPair(pair) {
  const sides = element('div', 'sides'), { before, after } = pair;
  sides.append(...[['before', before], ['now', after]].map(([who, side]) => {
    const made = element('section', 'side');
    made.setAttribute('aria-label', who);
    made.append(element('h2', '', `${who}: ${side.state}`), ...(side.entry ? parts(side.entry).slice(1) : [element('p', 'dim', 'not there')]));
    return made;
  }));
  if (before.entry && after.entry) markBetween(...[...sides.children].map((side) => [...side.querySelectorAll('.turn .text, .answer .text')]));
  byId('entry').replaceChildren(button('narrow', '‹ rows', () => byId('main').classList.remove('reading')), element('h2', '', `${pair.what}: ${pair.id}`), sides);
  byId('entry').scrollTop = 0;
}

function markBetween(left, right) {
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const [one, other] = [left[i], right[i]].map((shown) => shown.textContent);
    const pieces = one === other ? [[[one, true]], [[other, true]]] : differing(one, other);
    if (pieces) [left[i], right[i]].forEach((shown, side) => shown.replaceChildren(...pieces[side].map(([piece, shared]) => (shared || !piece.trim() ? piece : element('mark', '', piece)))));
  }
}
