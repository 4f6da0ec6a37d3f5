import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type DecodedJournal, decodeJournal } from '../core/journal-codec.js';
import { JOURNAL_VERSION } from '../core/journal-state.js';
import { JournalError } from './journal-error.js';

/** @throws JournalError when it is no journal that this version can read. */
export function readJournal(path: string): DecodedJournal {
  const content = decodeJournal(readBytes(path), crc32);
  const header = content.records[0];
  if (header?.is !== 'journal') {
    throw new JournalError('unreadable', `the journal ${path} does not begin like one; ${WHAT_TO_DO}`);
  }
  // A file can say what the type does not allow.
  const version: number = header.version;
  if (version !== JOURNAL_VERSION) {
    const versions = `has version ${version}, and this sidecar reads version ${JOURNAL_VERSION}`;
    throw new JournalError(
      'other_version',
      `the journal ${path} ${versions}; start the sidecar that wrote it, or ${WHAT_TO_DO}`,
    );
  }
  return content;
}

const WHAT_TO_DO = 'move it away to begin a new one: what it tells of is not known any more then';

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new JournalError('unreadable', `the journal ${path} cannot be read: ${(error as Error).message}`, error);
  }
}
