import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { SCENARIOS } from './scenarios.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ID = /\b[A-Z]\d{1,2}\b/g;
/** The line on which a test or a group of tests gets its title. */
const TITLE = /\b(?:it|test|describe)\b.*\(\s*['"`]|^\s*(?:\]\)\()?['"`]|\btitle: /;

function testFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules'))
    .map((file) => join(ROOT, folder, file));
}

function cited(): Set<string> {
  const titles = ['packages', 'test']
    .flatMap(testFiles)
    .filter((file) => !file.endsWith('scenarios.test.ts'))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((line) => TITLE.test(line));
  return new Set(titles.flatMap((title) => title.match(ID) ?? []));
}

it('every scenario is cited in the title of a test, or waits for a capability that is not there yet', () => {
  const titles = cited();
  const missing = Object.entries(SCENARIOS).filter(([id, { waits }]) => waits === undefined && !titles.has(id));
  expect(missing.map(([id, { what }]) => `${id}: ${what}`)).toEqual([]);
});

it('no scenario is said to wait that a test cites, unless the test shows a part of it', () => {
  const titles = cited();
  const stale = Object.entries(SCENARIOS).filter(
    ([id, { waits, isPartlyShown }]) => waits !== undefined && titles.has(id) !== (isPartlyShown === true),
  );
  expect(stale.map(([id]) => id)).toEqual([]);
});
