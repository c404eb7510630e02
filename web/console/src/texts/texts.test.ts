import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { en } from './en';

/** Attributes that a person reads or hears. */
const spoken = new Set([
  'label',
  'title',
  'placeholder',
  'description',
  'alt',
  'aria-label',
  'error',
  'text',
  'lead',
  'submit',
]);
const letter = /\p{L}/u;

function attribute(node: ts.JsxAttribute): ts.Expression | undefined {
  const init = node.initializer;
  return init && ts.isJsxExpression(init) ? init.expression : init;
}

/** Every text in JSX that does not come from the catalogue, as "line: text". */
function literals(code: string): string[] {
  const file = ts.createSourceFile('x.tsx', code, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const found: string[] = [];
  const note = (node: ts.Node, text: string) => {
    if (!letter.test(text)) return;
    found.push(`${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${text.trim()}`);
  };
  const value = (node: ts.Expression | undefined) => {
    if (!node) return;
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) note(node, node.text);
    if (ts.isTemplateExpression(node)) {
      note(node, node.head.text);
      for (const span of node.templateSpans) note(span, span.literal.text);
    }
    if (ts.isConditionalExpression(node)) {
      value(node.whenTrue);
      value(node.whenFalse);
    }
  };
  const visit = (node: ts.Node) => {
    if (ts.isJsxText(node)) note(node, node.text);
    if (ts.isJsxExpression(node) && !ts.isJsxAttribute(node.parent)) value(node.expression);
    if (ts.isJsxAttribute(node) && spoken.has(node.name.getText())) value(attribute(node));
    if (ts.isPropertyAssignment(node) && spoken.has(node.name.getText())) value(node.initializer);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((e) => {
    if (e.isDirectory()) return sources(join(folder, e.name));
    return e.name.endsWith('.tsx') && !e.name.includes('.test.') ? [join(folder, e.name)] : [];
  });
}

describe('the catalogue', () => {
  it('finds a literal where there is one', () => {
    expect(literals('const a = <p>Hello {name}</p>;')).toEqual(['1: Hello']);
    expect(literals('const a = <p title="Hello" className="x" />;')).toEqual(['1: Hello']);
    expect(literals('const a = <p>{on ? "yes" : t.no}</p>;')).toEqual(['1: yes']);
    expect(literals('const a = { title: "State", id: "state" };')).toEqual(['1: State']);
    expect(literals('const a = <p title={t.x}>{t.y} · {" "}</p>;')).toEqual([]);
  });

  it('holds every text of the rooms', () => {
    const src = join(import.meta.dirname, '..');
    const found = sources(src).flatMap((path) =>
      literals(readFileSync(path, 'utf8')).map((l) => `${path.slice(src.length + 1)}:${l}`),
    );
    expect(found).toEqual([]);
  });

  it('has no empty text', () => {
    const walk = (value: unknown, path: string): string[] => {
      if (typeof value === 'string') return value.trim() ? [] : [path];
      if (typeof value === 'object' && value)
        return Object.entries(value).flatMap(([k, v]) => walk(v, `${path}.${k}`));
      return [];
    };
    expect(walk(en, 'en')).toEqual([]);
  });
});
