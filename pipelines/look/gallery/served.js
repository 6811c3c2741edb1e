'use strict';
// Rows from the server beside this page.

const PAGE = 100; // rows asked for at a time

async function answer(path) {
  let reply;
  try {
    reply = await fetch(path);
  } catch {
    throw new Error('The gallery does not answer: is phantom gallery still running? Start it again and reload this page.');
  }
  if (reply.status === 400) throw new Error(await reply.text()); // a mistake in what was asked
  if (!reply.ok) throw new Error(`The gallery cannot show this (${reply.status}): ${await reply.text()}`);
  return reply.json();
}

// What is asked, with the tags, of which only this browser knows, as the rows that have them.
function askedRows() {
  const found = asked();
  found.delete('tag');
  if (state.tags.length) found.append('rows', taggedRows());
  return found;
}

const named = (row) => new URLSearchParams({ view: row.view, n: row.n });
const served = {
  about: () => answer('/api/about'),
  overview: () => answer('/api/overview?' + askedRows()),
  page: (offset) => answer(`/api/page?${askedRows()}&offset=${offset}&limit=${PAGE}`),
  place: async (n) => (await answer(`/api/place?${askedRows()}&n=${n}`)).place,
  entry: (row) => answer('/api/row?' + named(row)),
  prompts: (row) => answer('/api/prompts?' + named(row)),
  related: (row) => answer('/api/related?' + named(row)),
  imageOf: (image) => (image.here ? '/' + image.address : ''),
  thumbOf: (row) => (row.image && (row.held || about.work) ? `/thumb/${row.view}/${row.n}` : ''),
};
