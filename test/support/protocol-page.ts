import { readFileSync } from 'node:fs';

/** The text of PROTOCOL.md. */
export const page = readFileSync(new URL('../../packages/protocol/PROTOCOL.md', import.meta.url), 'utf8');

/** A frame the page shows. */
export interface Example {
  readonly title: string;
  readonly frame: { readonly type: string; readonly [field: string]: unknown };
  readonly line: number;
}

export const examples = examplesOf(page);

/** The frames a part of the page shows, in its order. */
export function examplesOf(text: string): Example[] {
  return [...text.matchAll(/^( *)```json\n([^]*?)^\1```$/gm)].map((match) => {
    const frame = JSON.parse(match[2] ?? '') as Example['frame'];
    const line = text.slice(0, match.index).split('\n').length;
    return { title: `of ${frame.type} in line ${line}`, frame, line };
  });
}

/** What stands under a heading, up to the next one of its level or above. @throws Error when there is no such heading. */
export function section(heading: string): string {
  const level = heading.indexOf(' ');
  const lines = page.split('\n');
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`there is no heading ${heading}`);
  const end = lines.findIndex((line, n) => n > start && /^#+ /.test(line) && line.indexOf(' ') <= level);
  return lines.slice(start + 1, end < 0 ? undefined : end).join('\n');
}
