import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findAddressFault } from './address.js';
import { fullJitterMs } from './backoff.js';
import { Fifo } from './fifo.js';

describe('an address', () => {
  const codeOf = (url: string, insecure = false) => findAddressFault(url, { insecure })?.code ?? null;

  it.each([
    'wss://agent-7:7411',
    'ws://127.0.0.1:7411',
    'ws://127.10.20.30',
    'ws://[::1]:7411',
    'ws://localhost:1/path',
  ])('may be %s', (url) => expect(codeOf(url)).toBeNull());

  it.each([
    'ws://agent-7:7411',
    'ws://10.0.0.1',
    'ws://127.0.0.1.example.com',
    'ws://localhost.example.com',
    'ws://notlocalhost',
  ])('may be %s only if that is called insecure', (url) => {
    expect(codeOf(url)).toBe('insecure_url');
    expect(codeOf(url, true)).toBeNull();
  });

  it.each([
    'wss://user:s3cret@host',
    'wss://:s3cret@host',
    'wss://s3cret@host',
    'wss://host/?token=s3cret',
    'wss://host/?access_token=s3cret',
  ])('may not carry a secret, as %s does, and the error does not repeat it', (url) => {
    expect(codeOf(url, true)).toBe('insecure_url');
    expect(findAddressFault(url, { insecure: true })?.message).not.toContain('s3cret');
  });

  it('is named in the error, by its host alone, with what is wrong', () => {
    const messageOf = (url: string) => findAddressFault(url, { insecure: false })?.message;
    expect(messageOf('agent')).toContain('not a URL');
    expect(messageOf('http://host:1/x')).toContain('"http:" of host:1');
    expect(messageOf('wss://s3cret@host:1/x')).toContain('URL of host:1 carries a secret');
    expect(messageOf('ws://agent-7:1/x')).toContain(
      'ws://agent-7:1 would send the token and every credential in the clear',
    );
  });

  it.each(['', 'agent-7:7411', 'http://host', 'not a url'])('is no "%s"', (url) => expect(codeOf(url)).toBe('invalid'));
});

describe('full jitter', () => {
  it('R13: lies between nothing and the exponential bound, and never above the cap', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), random, (failures, value) => {
        const delay = fullJitterMs({ baseMs: 100, capMs: 10_000 }, failures, value);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(Math.min(10_000, 100 * 2 ** (failures - 1)));
      }),
    );
    expect(fullJitterMs({ baseMs: 100, capMs: 10_000 }, 3, 0.5)).toBe(200);
  });
});

describe('a queue', () => {
  it('gives what was put, in order, however puts and takes are mixed', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (puts) => {
        const queue = new Fifo<number>();
        const model: number[] = [];
        puts.forEach((isPut, index) => {
          if (isPut) {
            queue.push(index);
            model.push(index);
          } else {
            expect(queue.peek()).toBe(model[0]);
            if (model.length > 0) queue.shift();
            model.shift();
          }
        });
        expect(queue.peek()).toBe(model[0]);
      }),
    );
  });

  it('is empty once it was cleared, and can be used again', () => {
    const queue = new Fifo<number>();
    for (const item of [1, 2]) queue.push(item);
    queue.clear();
    expect(queue.peek()).toBeUndefined();
    queue.shift();
    queue.push(3);
    expect(queue.peek()).toBe(3);
    queue.shift();
    expect(queue.peek()).toBeUndefined();
  });
});
