'use strict';
// What is shown, and its place in the address: reload, back and a shared address show the same again.

const FACETS = ['source', 'reason', 'kind', 'generator', 'unit', 'split'];
const MEASURES = { score: 'score', chars: 'answer, characters', px: 'picture, longer side in px', copies: 'near-duplicates, rows of a cluster' };
const SHOWS = ['overview', 'list', 'grid'], COMPARING = ['compare', 'changes'];
const SORTS = ['order', 'lowest score', 'highest score', 'shortest answer', 'longest answer'];
const EMPTY = { values: {}, ranges: {}, text: '', where: '', tags: [], sort: 'order', n: null, change: {} };
const state = { show: 'overview', view: 'kept', ...EMPTY };
let about = null;

const shows = () => (about.against ? [...SHOWS, ...COMPARING] : SHOWS);

// What is asked of the rows: the part of the address that chooses and orders them.
function asked() {
  const found = new URLSearchParams({ view: state.view });
  for (const name of FACETS) for (const value of state.values[name] ?? []) found.append(name, value);
  for (const name of Object.keys(MEASURES)) if (state.ranges[name]) found.append(name, state.ranges[name].map((bound) => bound ?? '').join('..'));
  if (state.text) found.append('text', state.text);
  for (const tag of state.tags) found.append('tag', tag);
  if (state.where) found.append('where', state.where);
  if (state.sort !== 'order') found.append('sort', state.sort);
  return found;
}

function address() {
  const found = asked();
  found.append('show', state.show);
  if (state.n !== null) found.append('n', state.n);
  if (COMPARING.includes(state.show)) for (const [name, value] of Object.entries(state.change)) found.append(name, value);
  return '#' + found;
}

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1)), one = (name, known) => (known.includes(found.get(name)) ? found.get(name) : known[0]);
  const values = Object.fromEntries(FACETS.map((name) => [name, found.getAll(name)]).filter(([, chosen]) => chosen.length));
  const ranges = Object.fromEntries(Object.keys(MEASURES).map((name) => [name, bounds(found.get(name))]).filter(([, range]) => range));
  const n = /^\d{1,10}$/.test(found.get('n') ?? '') ? Number(found.get('n')) : null;
  Object.assign(state, { show: one('show', shows()), view: one('view', ['kept', 'rejected']), values, ranges, text: found.get('text') ?? '', where: canAsk() ? found.get('where') ?? '' : '', tags: canAsk() ? found.getAll('tag') : [], sort: one('sort', SORTS), n,
    change: Object.fromEntries(['what', 'before', 'after'].filter((name) => found.get(name)).map((name) => [name, found.get(name)])) });
}

function bounds(text) {
  const range = (text ?? '').split('..').map((bound) => (bound.trim() === '' || !Number.isFinite(Number(bound)) ? null : Number(bound)));
  return range.length === 2 && range.some((bound) => bound !== null) ? range : null;
}

// Changes what is shown; what chooses the rows forgets which of them was open.
function change(part, also = {}) {
  const chooses = Object.keys(part).some((name) => name !== 'show' && name !== 'n');
  const other = 'show' in part && (part.show === 'changes') !== (state.show === 'changes'); // rows of another list
  Object.assign(state, chooses || other ? { n: null } : {}, part);
  history[also.quietly ? 'replaceState' : 'pushState'](null, '', address());
  if (!also.quietly) render();
}

function choose(name, value, on) {
  const chosen = (state.values[name] ?? []).filter((one) => one !== value).concat(on ? [value] : []);
  const { [name]: _, ...values } = state.values;
  change({ values: chosen.length ? { ...values, [name]: chosen } : values });
}

function bound(name, range) {
  const { [name]: _, ...ranges } = state.ranges;
  change({ ranges: range && range.some((edge) => edge !== null) ? { ...ranges, [name]: range } : ranges });
}

const labelOf = (name) => (about.kind === 'mix' && state.view === 'kept' ? { kind: 'category', generator: 'answers', reason: 'flagged' }[name] : undefined) ?? name;
const measureOf = (name) => (name === 'score' && about.rated ? `rating of ${about.rated}` : MEASURES[name]);
