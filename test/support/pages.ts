import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** What is not written by hand, or not ours. */
const PASSED_OVER = ['.git', 'node_modules', 'dist', 'api', 'coverage', 'reports', '.stryker-tmp'];

/** Files below a folder, by their path from the root. */
export function filesIn(folder: string, suffixes: readonly string[]): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return PASSED_OVER.includes(entry.name) ? [] : filesIn(path, suffixes);
    return suffixes.some((suffix) => entry.name.endsWith(suffix)) ? [path] : [];
  });
}

/** Every page of the repository. */
export const PAGES = filesIn('.', ['.md']);

/** A page without its blocks of code. */
export const proseOf = (page: string) => page.replaceAll(/^( *)```.*?^\1```$/gms, '');

/** The headings of a page, as they are written. */
export const headingsOf = (page: string) => [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title);

/** What links to the headings of a page, as GitHub makes it: of two that are alike the second one has a number. */
export function anchorsOf(page: string): string[] {
  const seen = new Map<string, number>();
  return headingsOf(page).map((title) => {
    const plain = title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = plain.replaceAll(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before === 0 ? slug : `${slug}-${before}`;
  });
}

/** Targets of the links of a page, but for those to other machines. */
export function linksOf(page: string): string[] {
  const prose = proseOf(page).replaceAll(/`[^`\n]*`(?!\])/g, '');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** What stands under a heading, down to the next one that is no deeper. */
export function sectionOf(page: string, heading: string): string {
  const lines = page.split('\n');
  const start = lines.indexOf(heading);
  if (start === -1) throw new Error(`there is no heading "${heading}"`);
  const depth = /^#+/.exec(heading)?.[0].length ?? 0;
  const length = lines.slice(start + 1).findIndex((line) => (/^(#+) /.exec(line)?.[1]?.length ?? 9) <= depth);
  return lines.slice(start + 1, length === -1 ? undefined : start + 1 + length).join('\n');
}

/** Cells of the rows of a section's tables, without code marks. What stands above the rows, and between, is left out. */
export function rowsOf(section: string): string[][] {
  return section
    .split('\n')
    .filter((line, n, lines) => line.startsWith('| ') && !/^\| ---/.test(line) && !/^\| ---/.test(lines[n + 1] ?? ''))
    .map((line) => line.slice(2, line.endsWith(' |') ? -2 : -1).split('|'))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')));
}

const UNITS: Readonly<Record<string, number>> = {
  ...{ s: 1000, min: 60_000, h: 3_600_000, days: 86_400_000 },
  ...{ KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 },
};

/** What a cell means: `10 min` in milliseconds, `64 MiB` in bytes, a bare number; any other text is what it is. */
export function valueOf(cell: string): string {
  const [, number = '', unit] = /^([\d,]+)(?: (\w+))?$/.exec(cell) ?? [];
  const factor = unit === undefined ? 1 : UNITS[unit];
  return number === '' || factor === undefined ? cell : String(Number(number.replaceAll(',', '')) * factor);
}
