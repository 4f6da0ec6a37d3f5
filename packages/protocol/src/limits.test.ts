import { expect, it } from 'vitest';
import { DURATIONS, LIMITS, MAX_OUTPUT_BYTES_DEFAULT } from './limits.js';

/** A control character is one byte in a log and six in JSON. */
const JSON_GROWTH_MAX = 6;
const ENVELOPE_BYTES = 16 * 1024;

it.each(Object.entries(LIMITS))('%s is a positive whole number', (_name, value) => {
  expect(Number.isSafeInteger(value) && value > 0).toBe(true);
});

it('every limit names its unit', () => {
  const unit =
    /(^resumes(Max)|executions(Named)?Max|messages(Pending)?Max|Bytes|Bytes(Max)|Ms|Chars(Max)|Depth(Max)|Size|Connection(Max)|Entries(Max)|Issues(Max))$/;
  expect(Object.keys(LIMITS).filter((name) => !unit.test(name))).toEqual([]);
});

it('a full output frame fits a message even when every byte grows in JSON', () => {
  expect(LIMITS.outputFrameBytes * JSON_GROWTH_MAX + ENVELOPE_BYTES).toBeLessThanOrEqual(LIMITS.frameBytesMax);
});

it('an outcome with the longest result fits a message even when every byte grows in JSON', () => {
  expect(LIMITS.resultBytesMax * JSON_GROWTH_MAX + ENVELOPE_BYTES).toBeLessThanOrEqual(LIMITS.frameBytesMax);
});

it('a page of a snapshot fits a message, also when it is a single execution with the largest labels', () => {
  const labelBytesMax = 63 + 256 * JSON_GROWTH_MAX + ENVELOPE_BYTES / LIMITS.listEntriesMax;
  const executionBytesMax = LIMITS.listEntriesMax * labelBytesMax + ENVELOPE_BYTES;
  expect(Math.max(executionBytesMax, LIMITS.snapshotPageBytes) + ENVELOPE_BYTES).toBeLessThan(LIMITS.frameBytesMax);
});

it('a credit can be large enough for the longest line', () => {
  expect(LIMITS.creditBytesMax).toBeGreaterThanOrEqual(LIMITS.lineBytesMax);
});

it('one lost ping does not end a connection', () => {
  expect(LIMITS.inboundDeadlineMs).toBeGreaterThan(2 * LIMITS.pingIntervalMs);
});

it('a line of an error fits an error, whatever was wrong', () => {
  expect(2 * LIMITS.errorIssuesMax * LIMITS.errorIssueCharsMax * JSON_GROWTH_MAX).toBeLessThan(LIMITS.frameBytesMax);
});

it.each(Object.entries(DURATIONS))('%s is within its own maximum when left out', (_name, { defaultMs, maxMs }) => {
  expect(defaultMs).toBeGreaterThan(0);
  expect(defaultMs).toBeLessThanOrEqual(maxMs);
});

it('no duration is longer than a timer can wait', () => {
  for (const { maxMs } of Object.values(DURATIONS)) expect(maxMs).toBeLessThan(2 ** 31);
});

it('unless the caller says otherwise a run may print a GiB', () => {
  expect(MAX_OUTPUT_BYTES_DEFAULT).toBe(2 ** 30);
});
