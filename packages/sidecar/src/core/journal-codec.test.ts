import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accepted, anyRecord, HEADER } from '../testing/journal-records.js';
import { decodeJournal, encodeRecord } from './journal-codec.js';
import { type JournalRecord } from './journal-state.js';

const encode = (...records: JournalRecord[]) => Buffer.concat(records.map((record) => encodeRecord(record, crc32)));
const decode = (bytes: Uint8Array) => decodeJournal(bytes, crc32);

it('what was written is read as it was, whatever is in it', () => {
  fc.assert(
    fc.property(fc.array(anyRecord), (records) => {
      const bytes = encode(...records);
      expect(decode(bytes)).toEqual({ records, soundBytes: bytes.length, tornLines: 0, damagedLines: 0 });
    }),
  );
});

describe('the last record of a journal (R16)', () => {
  const kept = [HEADER, accepted('a', 'é€😀')];
  const before = encode(...kept);
  const last = encode(accepted('b', 'ß€😀'));
  const NOTHING_OF_IT = { records: kept, soundBytes: before.length, damagedLines: 0 };

  it('is lost alone wherever it is cut off', () => {
    for (let cut = 1; cut < last.length; cut++) {
      expect(decode(Buffer.concat([before, last.subarray(0, cut)]))).toEqual({ ...NOTHING_OF_IT, tornLines: 1 });
    }
    expect(decode(Buffer.concat([before, last])).records).toHaveLength(3);
  });

  it('is lost alone whichever of its bits is another', () => {
    for (let bit = 0; bit < last.length * 8; bit++) {
      const damaged = Buffer.from(last);
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(decode(Buffer.concat([before, damaged]))).toMatchObject(NOTHING_OF_IT);
    }
  });

  it('is no record when it is empty, or no JSON, though its checksum is right', () => {
    for (const json of ['', '{']) {
      const line = `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
      expect(decode(Buffer.concat([before, Buffer.from(line)]))).toEqual({ ...NOTHING_OF_IT, tornLines: 1 });
    }
  });
});

it('a damaged record costs itself alone, and is told from a torn end', () => {
  const damaged = encode(accepted('a'));
  damaged.writeUInt8(0x21, 20);
  const sound = Buffer.concat([encode(HEADER), damaged, encode(accepted('b'))]);
  expect(decode(Buffer.concat([sound, damaged, Buffer.from('torn')]))).toEqual({
    records: [HEADER, accepted('b')],
    soundBytes: sound.length,
    tornLines: 2,
    damagedLines: 1,
  });
});
