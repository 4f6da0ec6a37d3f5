#!/usr/bin/env node
// npm links to programs that are there when it installs, which is before this one is built.
import { existsSync } from 'node:fs';

if (existsSync(new URL('../dist/cli/main.js', import.meta.url))) await import('../dist/cli/main.js');
else {
  console.error('outrigger: it is not built yet; npm run build does that');
  process.exitCode = 2;
}
