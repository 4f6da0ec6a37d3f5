import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { kitFiles } from '../src/kit/kit.js';

// Writes what is generated from the code, anew: `npm run schema`.

const inPackage = (path: string) => new URL(`../${path}`, import.meta.url);

rmSync(inPackage('schema'), { recursive: true, force: true });
for (const [path, text] of Object.entries(kitFiles())) {
  mkdirSync(dirname(inPackage(path).pathname), { recursive: true });
  writeFileSync(inPackage(path), text);
}
