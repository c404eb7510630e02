'use strict';
// Shows /openapi.json as a page. It asks nobody but this server.
const el = (tag, props, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
};

fetch('/openapi.json').then((r) => r.json()).then((doc) => {
  const resolve = (s) => (s && s.$ref ? doc.components.schemas[s.$ref.split('/').pop()] : s);
  const typeOf = (s) => {
    if (!s) return '';
    if (s.$ref) return s.$ref.split('/').pop();
    const t = [].concat(s.type || 'any').join(' or ');
    return s.items ? `${t} of ${typeOf(s.items)}` : s.format ? `${t} (${s.format})` : t;
  };
  // An example, from the schema; a type that holds itself is shown once.
  const example = (s, seen = []) => {
    if (!s) return null;
    if (s.$ref) {
      if (seen.includes(s.$ref)) return {};
      return example(resolve(s), [...seen, s.$ref]);
    }
    if (s.examples) return s.examples[0];
    if (s.enum) return s.enum[0];
    const t = [].concat(s.type || [])[0];
    if (t === 'array') return [example(s.items, seen)];
    if (t === 'object') return Object.fromEntries(Object.entries(s.properties || {}).map(([k, v]) => [k, example(v, seen)]));
    return { integer: 0, number: 0, boolean: false, string: s.format === 'date-time' ? '2026-11-21T12:00:00Z' : '…' }[t] ?? null;
  };
  const fields = (s) => {
    const schema = resolve(s);
    if (!schema || !schema.properties) return null;
    const rows = Object.entries(schema.properties).map(([name, p]) => el('tr', {},
      el('td', {}, el('code', { textContent: name })), el('td', { textContent: typeOf(p) }),
      el('td', { textContent: (schema.required || []).includes(name) ? 'required' : '' }),
      el('td', { textContent: (resolve(p) || p).description || p.description || '' })));
    return el('table', {}, el('tbody', {}, ...rows));
  };
  const bodyOf = (content) => Object.values(content || {})[0]?.schema;

  document.getElementById('about').prepend(`${doc.info.description} `);
  const groups = new Map();
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const [method, op] of Object.entries(item)) {
      if (!op.operationId) continue;
      const tag = (op.tags || ['other'])[0];
      groups.set(tag, [...(groups.get(tag) || []), { path, method, op }]);
    }
  }
  const list = document.getElementById('list');
  const main = document.getElementById('main');
  for (const [tag, ops] of groups) {
    list.append(el('h2', { textContent: tag }));
    for (const { path, method, op } of ops) {
      list.append(el('a', { href: `#${op.operationId}`, textContent: op.summary || op.operationId }));
      const section = el('section', { id: op.operationId },
        el('h2', { textContent: op.summary || op.operationId }),
        el('p', {}, el('code', { className: 'method', textContent: method.toUpperCase() }), ' ', el('code', { textContent: path })),
        el('p', {}, 'Needs: ', el('code', { textContent: op['x-permission'] || 'open' })));
      if (op.parameters?.length) {
        section.append(el('table', {}, el('tbody', {}, ...op.parameters.map((p) => el('tr', {},
          el('td', {}, el('code', { textContent: p.name })), el('td', { textContent: p.in }),
          el('td', { textContent: typeOf(p.schema) }), el('td', { textContent: p.description || p.schema?.description || '' }))))));
      }
      const body = bodyOf(op.requestBody?.content);
      if (body) section.append(el('h3', { textContent: 'Body' }), fields(body) || '', el('pre', { textContent: JSON.stringify(example(body), null, 2) }));
      for (const [status, r] of Object.entries(op.responses || {})) {
        const schema = bodyOf(r.content);
        section.append(el('h3', { textContent: `${status} ${r.description || ''}` }));
        if (schema && status !== 'default') section.append(fields(schema) || '', el('pre', { textContent: JSON.stringify(example(schema), null, 2) }));
      }
      main.append(section);
    }
  }
});
