// Puts a gzip copy beside every text asset, so that the server never compresses
// at request time, and copies the build to where the Go package embeds it.
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const from = join(root, 'dist');
const to = join(root, '../../internal/door/console/dist');
const texts = new Set(['.js', '.css', '.svg', '.json']);

async function files(folder) {
  const found = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await files(path)));
    else found.push(path);
  }
  return found;
}

let sent = 0;
for (const path of await files(from)) {
  if (!texts.has(extname(path)) || (await stat(path)).size < 512) continue;
  const packed = gzipSync(await readFile(path), { level: 9 });
  sent += packed.length;
  await writeFile(`${path}.gz`, packed);
}

await mkdir(to, { recursive: true });
for (const entry of await readdir(to)) {
  if (entry !== '.keep') await rm(join(to, entry), { recursive: true, force: true });
}
await cp(from, to, { recursive: true });
process.stdout.write(
  `console: ${Math.round(sent / 1024)} kB gzip in all, copied to internal/door/console/dist\n`,
);
