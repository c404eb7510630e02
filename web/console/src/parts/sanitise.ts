import DOMPurify from 'dompurify';

/**
 * Makes a document for a frame without network out of untrusted HTML mail.
 *
 * What is promised: no script, form, frame or link target survives; nothing in
 * it is loaded from anywhere; inline styles become one style element under the
 * page's nonce, because a frame made from a string inherits the page's policy.
 * The frame itself must be sandboxed; this is the second lock, not the only one.
 */
export type Safe = { document: string; blocked: number };

type Options = { nonce: string; inlined?: Map<string, string> };

const remote = /^\s*(https?:|ftp:|\/\/)/i;
// A data: image stays; an SVG could hold its own references, so it does not.
const kept = /^\s*data:image\/(png|jpe?g|gif|webp|avif|bmp|x-icon)[;,]/i;

export function safeDocument(html: string, { nonce, inlined }: Options): Safe {
  const given = new DOMParser().parseFromString(html, 'text/html');
  const body = DOMPurify.sanitize(given.body.innerHTML, rules) as unknown as HTMLElement;
  for (const name of bodyAttributes) {
    const value = given.body.getAttribute(name);
    if (value !== null) body.setAttribute(name, value);
  }

  const work: Work = { blocked: 0, rules: [] };
  const sheets = [...given.head.querySelectorAll('style'), ...body.querySelectorAll('style')];
  for (const sheet of sheets) {
    work.rules.push(safeCss(sheet.textContent ?? '', work));
    sheet.remove();
  }
  [body, ...body.querySelectorAll<HTMLElement>('*')].forEach((element, n) => {
    blockAttributes(element, work, inlined);
    const style = element.getAttribute('style');
    if (style === null) return;
    element.removeAttribute('style');
    element.setAttribute('data-s', String(n));
    // Two ids that match nothing lift the rule above the mail's own sheets, as an inline style would be.
    work.rules.push(`[data-s="${n}"]:not(#a#b){${safeDeclarations(style, work)}}`);
  });
  return { document: frame(body, work.rules, nonce), blocked: work.blocked };
}

const bodyAttributes = ['bgcolor', 'text', 'dir', 'class', 'align', 'style', 'background'];

const rules = {
  RETURN_DOM: true,
  FORCE_BODY: true,
  FORBID_TAGS: [
    'form',
    'input',
    'button',
    'textarea',
    'select',
    'option',
    'svg',
    'math',
    'video',
    'audio',
    'source',
    'link',
    'meta',
    'base',
    'title',
    'template',
    'dialog',
  ],
  FORBID_ATTR: ['srcset', 'ping', 'autofocus', 'tabindex', 'contenteditable', 'popover', 'nonce'],
  ADD_TAGS: ['center'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

type Work = { blocked: number; rules: string[] };

function blockAttributes(element: HTMLElement, work: Work, inlined?: Map<string, string>) {
  for (const name of ['src', 'background', 'poster']) {
    const value = element.getAttribute(name);
    if (value === null) continue;
    const inline = /^\s*cid:/i.test(value) ? inlined?.get(contentId(value)) : undefined;
    if (inline) {
      element.setAttribute(name, inline);
    } else if (!kept.test(value)) {
      if (remote.test(value)) work.blocked += 1;
      element.removeAttribute(name);
    }
  }
  if (element.tagName === 'A') {
    // A sandboxed frame opens nothing; the title lets the reader see where it would go.
    const href = element.getAttribute('href');
    if (href) element.setAttribute('title', href);
    element.removeAttribute('href');
    element.setAttribute('data-link', '');
    element.removeAttribute('target');
  }
}

/** The bare content id of "cid:…" or "<…>". */
export function contentId(value: string): string {
  let bare = value.trim().replace(/^cid:/i, '');
  try {
    bare = decodeURIComponent(bare);
  } catch {
    // not percent-encoded: taken as it is
  }
  return bare.replace(/^<|>$/g, '');
}

function countUrls(css: string, work: { blocked: number }) {
  work.blocked += css.match(/url\(\s*["']?\s*(https?:|\/\/)/gi)?.length ?? 0;
}

/** A sheet without references: escapes are undone first, so that none can hide one. */
export function safeCss(css: string, work: { blocked: number }): string {
  const plain = unescapeCss(css).replace(/<!--|-->/g, '');
  countUrls(plain, work);
  return plain
    .replace(/@import[^;]*(;|$)/gi, '')
    .replace(/@font-face\s*\{[^}]*\}/gi, '')
    .replace(/url\([^)]*\)?/gi, 'none')
    .replace(/image-set\([^)]*\)?/gi, 'none')
    .replace(/<\/?style/gi, '');
}

function safeDeclarations(css: string, work: Work): string {
  return safeCss(css, work).replace(/[{}]/g, '');
}

function unescapeCss(css: string): string {
  return css
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\\([0-9a-f]{1,6})\s?/gi, (_all, hex: string) => {
      const code = Number.parseInt(hex, 16);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
    })
    .replace(/\\(?=[a-z@(])/gi, '');
}

function frame(body: HTMLElement, rules: string[], nonce: string): string {
  const policy = `default-src 'none'; img-src data:; style-src 'nonce-${nonce}'; form-action 'none'; base-uri 'none'`;
  const base =
    'html{color:#1c1f26;color-scheme:light}body{margin:16px;font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}img{max-width:100%;height:auto}[data-link]{color:#2f5bd0;text-decoration:underline}pre{white-space:pre-wrap}';
  const attributes = ['bgcolor', 'text', 'dir', 'class', 'data-s', 'align']
    .map((name) => [name, body.getAttribute(name)] as const)
    .filter((pair): pair is readonly [string, string] => pair[1] !== null)
    .map(([name, value]) => ` ${name}="${value.replace(/&/g, '&amp;').replace(/"/g, '&quot;')}"`)
    .join('');
  return `<!doctype html><html lang="und"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="referrer" content="no-referrer"><title>&#8203;</title><style nonce="${nonce}">${base}</style><style nonce="${nonce}">${rules.join('\n')}</style></head><body${attributes}>${body.innerHTML}</body></html>`;
}
