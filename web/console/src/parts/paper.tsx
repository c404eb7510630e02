import DOMPurify from 'dompurify';
import { useEffect, useRef } from 'react';
import css from './paper.module.css';

/** Ids would meet those of the page, and styles are the console's own. */
const rules = {
  RETURN_DOM_FRAGMENT: true,
  FORBID_ATTR: ['id', 'style'],
  FORBID_TAGS: ['style', 'h1', 'form'],
} as const;

/** What a document's own HTML says, whether it comes as a whole page or as what stands in one. */
export function paperOf(html: string): DocumentFragment {
  const page = new DOMParser().parseFromString(html, 'text/html');
  for (const title of page.querySelectorAll('h1')) title.remove();
  return DOMPurify.sanitize(page.body.innerHTML, {
    ...rules,
    FORBID_ATTR: [...rules.FORBID_ATTR],
    FORBID_TAGS: [...rules.FORBID_TAGS],
  });
}

/** A document for reading, in the console's own looks. */
export function Paper({ html }: { html: string }) {
  const at = useRef<HTMLDivElement>(null);
  useEffect(() => {
    at.current?.replaceChildren(paperOf(html));
  }, [html]);
  return <div className={css.paper} ref={at} />;
}
