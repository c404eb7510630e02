import { describe, expect, it } from 'vitest';
import { contentId, safeCss } from './sanitise';

// The whole of it is tested in a real browser (test/browser/reading.spec.ts):
// DOMPurify works in browsers only, not on the stand-in DOM used here.
describe('safeCss', () => {
  it.each([
    '@import url(https://t.example/x.css);',
    '@im\\70ort "https://t.example/x.css";',
    'a{background:u\\72l(https://t.example/x)}',
    'a{background:url( "https://t.example/x" )}',
    'a{background:u/**/rl(https://t.example/x)}',
    '@font-face{font-family:x;src:url(https://t.example/f)}',
    'a{background:image-set("https://t.example/x" 1x)}',
  ])('cuts the reference out of %s', (css) => {
    const safe = safeCss(`${css} p{color:red}`, { blocked: 0 });
    expect(safe).not.toContain('t.example');
    expect(safe).toContain('p{color:red}');
  });

  it('counts what would have been loaded', () => {
    const work = { blocked: 0 };
    safeCss(
      'a{background:url(https://t.example/1)} b{background:url("//t.example/2")} i{background:url(#x)}',
      work,
    );
    expect(work.blocked).toBe(2);
  });

  it('lets nothing close the style element', () => {
    expect(safeCss('a{}</style><script>x()</script>', { blocked: 0 })).not.toContain('</style');
  });
});

describe('contentId', () => {
  it.each([
    ['cid:a@b', 'a@b'],
    ['<a@b>', 'a@b'],
    ['CID:a%40b', 'a@b'],
    ['cid:100%', '100%'],
  ])('%s is %s', (given, bare) => expect(contentId(given)).toBe(bare));
});
