import { type JournalRecord } from './journal-state.js';

/**
 * A journal's records as lines: a checksum of eight hexadecimal digits, a blank, and JSON. All is told by bytes, so that
 * half a character at a torn end spoils nothing before it.
 */

/** Of bytes, as an unsigned 32-bit number. */
export type Checksum = (bytes: Uint8Array) => number;

const NEWLINE = 0x0a;
/** Of what comes before the JSON. */
const PREFIX_BYTES = 9;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeRecord(record: JournalRecord, checksum: Checksum): Uint8Array {
  // Neither JSON nor the prefix holds a line end.
  const json = encoder.encode(JSON.stringify(record));
  const line = new Uint8Array(PREFIX_BYTES + json.length + 1);
  line.set(encoder.encode(prefixOf(json, checksum)));
  line.set(json, PREFIX_BYTES);
  line[line.length - 1] = NEWLINE;
  return line;
}

export interface DecodedJournal {
  /** Every sound one, in order. */
  readonly records: readonly JournalRecord[];
  /** Up to the end of the last sound record; what follows was torn. */
  readonly soundBytes: number;
  /** Lines behind that, a torn one included: a tail that was being written when the power went, and that promised nothing. */
  readonly tornLines: number;
  /** Lines between sound ones: something that was promised is not known any more. */
  readonly damagedLines: number;
}

export function decodeJournal(bytes: Uint8Array, checksum: Checksum): DecodedJournal {
  const records: JournalRecord[] = [];
  let soundBytes = 0;
  let badLines = 0;
  let damagedLines = 0;
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, at);
    const record = end === -1 ? null : decodeLine(bytes.subarray(at, end), checksum);
    at = end === -1 ? bytes.length : end + 1;
    if (record === null) {
      badLines++;
      continue;
    }
    records.push(record);
    soundBytes = at;
    damagedLines = badLines;
  }
  return { records, soundBytes, tornLines: badLines - damagedLines, damagedLines };
}

function decodeLine(line: Uint8Array, checksum: Checksum): JournalRecord | null {
  const json = line.subarray(PREFIX_BYTES);
  if (decoder.decode(line.subarray(0, PREFIX_BYTES)) !== prefixOf(json, checksum)) return null;
  try {
    // Its checksum is right, so it is what this program wrote; another version of it says so in the header.
    return JSON.parse(decoder.decode(json)) as JournalRecord;
  } catch {
    return null;
  }
}

function prefixOf(json: Uint8Array, checksum: Checksum): string {
  return `${checksum(json).toString(16).padStart(8, '0')} `;
}
