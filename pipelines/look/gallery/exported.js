'use strict';
// Rows of an exported page, which may not fetch: they lie in PHANTOM_ROWS. It answers as the server does.

const KIN = { image: 'same picture', asked: 'same question', cluster: 'same near-duplicates' }, KIN_SHOWN = 12;
const SIGNS = { 'lowest score': ['score', 1], 'highest score': ['score', -1], 'shortest answer': ['chars', 1], 'longest answer': ['chars', -1] };

const inRange = (value, [low, high]) => typeof value === 'number' && (low === null || value >= low) && (high === null || value < high);
const valuesOf = (row, name) => (row[name] ? (name === 'reason' ? row[name].split(', ') : [row[name]]) : []);

function contains(entry, wanted) {
  const turns = entry.turns.flatMap((turn) => turn.parts);
  return [entry.id, ...turns, entry.chosen, entry.rejected, entry.reason?.detail].some((text) => (text ?? '').toLowerCase().includes(wanted));
}

// The rows that match, but for what is said of one facet or measure.
function matching(without) {
  const chosen = Object.entries(state.values).filter(([name]) => name !== without), ranges = Object.entries(state.ranges).filter(([name]) => name !== without);
  const wanted = state.text.toLowerCase();
  return PHANTOM_ROWS.filter(({ short, ...entry }) => short.view === state.view
    && chosen.every(([name, values]) => valuesOf(short, name).some((value) => values.includes(value)))
    && ranges.every(([name, range]) => inRange(short[name], range)) && (!wanted || contains(entry, wanted))).map((entry) => entry.short);
}

function sorted() {
  const all = matching(), [name, sign] = SIGNS[state.sort] ?? ['n', 1];
  return all.sort((a, b) => sign * ((a[name] ?? Infinity * sign) - (b[name] ?? Infinity * sign)) || a.n - b.n);
}

function countValues(name) {
  const tally = new Map();
  for (const row of matching(name)) for (const value of valuesOf(row, name)) tally.set(value, (tally.get(value) ?? 0) + 1);
  return [...tally].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
}

function countBars(name, edges) {
  const bins = Array(edges.length - 1).fill(0);
  for (const row of matching(name)) if (typeof row[name] === 'number') bins[Math.max(0, edges.slice(0, -1).findLastIndex((edge) => edge <= row[name]))] += 1;
  return bins;
}

function kin(row, column, why) {
  const found = row[column] ? PHANTOM_ROWS.map((entry) => entry.short).filter((other) => other[column] === row[column] && !(other.view === row.view && other.n === row.n)) : [];
  return found.length ? [{ why, total: found.length, rows: found.slice(0, KIN_SHOWN) }] : [];
}

const entryOf = (row) => PHANTOM_ROWS.find(({ short }) => short.view === row.view && short.n === Number(row.n));
const exported = {
  about: async () => PHANTOM_ABOUT,
  overview: async () => ({
    total: matching().length, facets: Object.fromEntries(FACETS.map((name) => [name, countValues(name)])),
    bins: Object.fromEntries(Object.entries(about.edges).map(([name, edges]) => [name, countBars(name, edges)])),
  }),
  async page(offset) {
    const all = sorted();
    return { total: all.length, rows: all.slice(offset, offset + PAGE) };
  },
  async place(n) {
    const found = sorted().findIndex((row) => row.n === n);
    return found < 0 ? null : found;
  },
  entry: async (row) => entryOf(row),
  related: async (row) => Object.entries(KIN).flatMap(([column, why]) => kin(entryOf(row).short, column, why)),
  imageOf: (image) => image.url || '',
  thumbOf: (row) => entryOf(row)?.images[0]?.url || '',
};
const source = typeof PHANTOM_ROWS === 'undefined' ? served : exported;
