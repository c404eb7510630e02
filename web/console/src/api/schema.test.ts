// @vitest-environment node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import openapi, { astToString } from 'openapi-typescript';
import { expect, it } from 'vitest';

it('is made from docs/openapi.json as it stands; else run npm run api', { timeout: 30_000 }, async () => {
  const document = pathToFileURL(join(process.cwd(), '../../docs/openapi.json'));
  const made = astToString(await openapi(document));
  const kept = readFileSync('src/api/schema.d.ts', 'utf8');
  expect(kept.slice(kept.indexOf('export interface paths'))).toBe(
    made.slice(made.indexOf('export interface paths')),
  );
});
