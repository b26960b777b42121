// What stands in a search box, and what stands behind the # of the page's address.  Pure.

/** "package:presence sick bob" as the keys of a listing: find, package, resource, sick.  Words that are no keys are looked for as they are. */
export function readSearch(text) {
  const keys = {};
  const words = [];
  for (const word of text.trim().split(/\s+/)) {
    const [, name, value] = /^(package|resource):(.+)$/.exec(word) ?? [];
    if (name) keys[name] = value;
    else if (word === 'is:sick') keys.sick = true;
    else if (word) words.push(word);
  }
  if (words.length) keys.find = words.join(' ');
  return keys;
}

/** "#/subs/ab12?q=x" as {view: 'subs', id: 'ab12', q: 'x'}. */
export function readPlace(hash) {
  const [path, query = ''] = hash.replace(/^#?\/?/, '').split('?', 2);
  const [view = '', id = ''] = path.split('/', 2).map(decode);
  const place = { view: view || 'overview', id };
  for (const [name, value] of new URLSearchParams(query)) if (!(name in place)) place[name] = value;
  return place;
}

export function writePlace(view, id = '', more = {}) {
  const query = new URLSearchParams(Object.entries(more).filter(([, v]) => v)).toString();
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ''}${query ? `?${query}` : ''}`;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Rows of which some value holds the text, letters of any case. */
export function matching(rows, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return rows;
  return rows.filter((row) => Object.values(row).some((v) => String(v).toLowerCase().includes(wanted)));
}
