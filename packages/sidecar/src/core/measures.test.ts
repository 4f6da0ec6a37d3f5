import { WIRE_ERRORS } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import {
  CODE_CLASSES,
  codeClassOf,
  DISPATCH_ANSWERS,
  dispatchAnswerOf,
  dispatchRefusalOf,
  SWAP_RESULTS,
  swapRefusalOf,
  swapResultOf,
} from './measures.js';

const ended = (status: 'skipped' | 'cancelled' | 'succeeded') =>
  ({ known: false, state: 'ended', outcome: { status } }) as Parameters<typeof dispatchAnswerOf>[0];

describe('labels are of small closed sets', () => {
  it('for the answer to a dispatch', () => {
    expect(dispatchAnswerOf({ known: true, state: 'queued' })).toBe('known');
    expect(dispatchAnswerOf({ known: false, state: 'queued' })).toBe('queued');
    expect(dispatchAnswerOf({ known: false, state: 'starting' })).toBe('accepted');
    expect(dispatchAnswerOf(ended('skipped'))).toBe('skipped');
    expect(dispatchAnswerOf(ended('cancelled'))).toBe('cancelled');
    // A process that was quicker than the answer.
    expect(dispatchAnswerOf(ended('succeeded'))).toBe('accepted');
  });

  it('for every error there is', () => {
    for (const code of [...Object.keys(WIRE_ERRORS), 'a-code-of-tomorrow', undefined]) {
      expect(DISPATCH_ANSWERS).toContain(dispatchRefusalOf(code));
      expect(SWAP_RESULTS).toContain(swapRefusalOf(code));
    }
    expect(dispatchRefusalOf('draining')).toBe('draining');
    expect(dispatchRefusalOf('internal')).toBe('failed');
    expect(dispatchRefusalOf('known')).toBe('failed');
    expect(swapRefusalOf('stale_fence')).toBe('stale_fence');
    expect(swapRefusalOf('applied')).toBe('failed');
  });

  it('for a swap', () => {
    expect([true, false].map((changed) => swapResultOf({ changed }))).toEqual(['applied', 'unchanged']);
  });

  it('for every status', () => {
    expect([200, 304, 404, 529].map(codeClassOf)).toEqual(['2xx', '3xx', '4xx', '5xx']);
    expect([null, 0, 101, 600, NaN].map(codeClassOf)).toEqual(['cut', 'cut', 'cut', 'cut', 'cut']);
    for (let status = 0; status < 1000; status++) expect(CODE_CLASSES).toContain(codeClassOf(status));
  });
});
