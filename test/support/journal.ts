import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A record of a sidecar's journal; see `core/journal-state.ts` of the sidecar. */
export interface NotedRecord {
  readonly is: string;
  readonly id?: string;
  readonly [field: string]: unknown;
}

const pathIn = (stateDir: string) => join(stateDir, 'journal');
const linesIn = (stateDir: string) => readFileSync(pathIn(stateDir), 'utf8').split('\n').filter(Boolean);
/** Behind the checksum and a blank. */
const recordOf = (line: string) => JSON.parse(line.slice(9)) as NotedRecord;

/** What a sidecar has written down. */
export function recordsIn(stateDir: string): NotedRecord[] {
  return linesIn(stateDir).map(recordOf);
}

/** Takes back all that was written down behind the last record for which `wanted` holds, as if the sidecar was killed then. */
export function cutJournalBehind(stateDir: string, wanted: (record: NotedRecord) => boolean): void {
  const lines = linesIn(stateDir);
  const last = lines.findLastIndex((line) => wanted(recordOf(line)));
  if (last < 0) throw new Error('there is no such record');
  writeFileSync(
    pathIn(stateDir),
    lines
      .slice(0, last + 1)
      .map((line) => `${line}\n`)
      .join(''),
  );
}
