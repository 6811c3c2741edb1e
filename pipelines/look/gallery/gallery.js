'use strict';
// The page: what is shown where, the keys, and the start.

let renders = 0;

async function render() {
  const mine = ++renders, compared = state.show === 'compare', overviewed = state.show === 'overview' || compared;
  byId('overview').hidden = !overviewed;
  if (byId('overview').dataset.show !== state.show) byId('overview').replaceChildren(); // what another view drew
  byId('overview').dataset.show = state.show;
  byId('main').hidden = overviewed;
  byId('main').className = state.show;
  byId('zoom').parentElement.hidden = state.show !== 'grid';
  byId('filters').hidden = compared || state.show === 'changes';
  byId('tagging').hidden = !canAsk() || state.show === 'changes';
  byId('views').hidden = state.show === 'changes';
  showViews();
  const shown = overviewed ? null : showRows();
  try {
    if (compared) return await showCompare();
    const told = await source.overview();
    if (mine !== renders) return;
    counts = told;
  } catch (error) {
    if (mine !== renders) return;
    counts = { total: 0, facets: {}, bins: {} };
    showFilters(error);
    return showFault(error);
  }
  showFilters();
  if (overviewed) showOverview();
  await shown;
}

const columnsNow = () => (state.show === 'grid' ? rows.scroller.columns : 1);
const KEYS = {
  j: () => step(rows.at + 1), k: () => step(rows.at - 1), ArrowDown: () => step(rows.at + columnsNow()), ArrowUp: () => step(rows.at - columnsNow()),
  l: () => turnPage(1), h: () => turnPage(-1), ArrowRight: () => (state.show === 'grid' ? step(rows.at + 1) : turnPage(1)),
  ArrowLeft: () => (state.show === 'grid' ? step(rows.at - 1) : turnPage(-1)), Home: () => step(0), End: () => step(rows.total - 1),
};
const ANYWHERE = {
  v: () => change({ ...EMPTY, view: state.view === 'kept' ? 'rejected' : 'kept' }), '/': () => byId('text').focus(), w: () => byId('where').focus(), t: () => state.show !== 'changes' && tagOpen(),
  o: () => change({ show: 'overview' }), c: () => about.against && change({ show: 'compare' }), r: () => change({ show: 'list' }), g: () => change({ show: 'grid' }),
};

document.addEventListener('keydown', (event) => {
  const within = document.activeElement, inField = ['INPUT', 'SELECT'].includes(within.tagName), act = ANYWHERE[event.key] ?? (['overview', 'compare'].includes(state.show) ? null : KEYS[event.key]);
  if (event.key === 'Escape') {
    within.blur();
    for (const open of document.querySelectorAll('details.facet[open]')) open.open = false;
  }
  if (inField || event.ctrlKey || event.metaKey || event.altKey || !act || byId('large').open) return;
  event.preventDefault();
  act();
});

async function start() {
  about = await source.about();
  document.title = `${about.name}: phantom gallery`;
  byId('name').textContent = `${about.name} · ${about.kind}`;
  byId('snapshot').textContent = about.snapshot_id.slice(0, 16);
  byId('shows').replaceChildren(...shows().map((show) => {
    const made = button('', show, () => change({ show }));
    made.dataset.show = show;
    return made;
  }));
  startFilters();
  startRows();
  readAddress();
  addEventListener('popstate', () => { readAddress(); render(); });
  await render();
}

start().catch(showFault);
