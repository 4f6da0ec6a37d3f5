import { type Credential } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { CredentialSlot } from './slot.js';

const credential = (name: string, more: Partial<Credential> = {}): Credential => ({
  id: name,
  kind: 'oauth',
  secret: `secret-${name}`,
  ...more,
});
const A = credential('a');
const B = credential('b');

describe('the credential in force', () => {
  it('is the standing one first, if there is one', () => {
    expect(new CredentialSlot(A)).toMatchObject({
      current: { credential: A, generation: 1 },
      generation: 1,
      secrets: ['secret-a'],
    });
    expect(new CredentialSlot(null)).toMatchObject({ current: null, generation: null, secrets: [] });
  });

  it('raises the generation with each one it is given', () => {
    const slot = new CredentialSlot(null);
    expect(slot.swap(A)).toEqual({ generation: 1, changed: true });
    expect(slot.swap(B)).toEqual({ generation: 2, changed: true });
    expect(slot.swap(A)).toEqual({ generation: 3, changed: true });
    expect(slot.current).toEqual({ credential: A, generation: 3 });
  });

  it('C10: takes the same secret again for what is known of it, whatever generation that was meant for', () => {
    const slot = new CredentialSlot(A);
    const heard: unknown[] = [];
    slot.onChange((current) => heard.push(current));
    const known = credential('renamed', { secret: A.secret, expiresAt: 5 });
    expect(slot.swap(known, 7)).toEqual({ generation: 1, changed: false });
    expect(slot.current).toEqual({ credential: known, generation: 1 });
    expect(slot.secrets).toEqual([A.secret]);
    expect(heard).toEqual([]);
  });

  it.each<[string, Credential | null, number | null | undefined, boolean]>([
    ['the generation in force', A, 1, true],
    ['none where there is none', null, null, true],
    ['nothing said', A, undefined, true],
    ['nothing said where there is none', null, undefined, true],
    ['an older generation', A, 0, false],
    ['a newer generation', A, 2, false],
    ['none where there is one', A, null, false],
    ['one where there is none', null, 1, false],
    ['0 where there is none', null, 0, false],
  ])('C19: with %s as the condition, a swap applies: %#', (_what, standing, ifGeneration, applies) => {
    const slot = new CredentialSlot(standing);
    const before = slot.current;
    if (applies) {
      expect(slot.swap(B, ifGeneration).changed).toBe(true);
      return;
    }
    expect(() => slot.swap(B, ifGeneration)).toThrow(
      expect.objectContaining({ code: 'stale_generation', data: { generation: slot.generation } }) as Error,
    );
    expect(slot.current).toBe(before);
    expect(slot.secrets).not.toContain(B.secret);
  });

  it('C19: goes to the first of two hosts that answer the same need', () => {
    const slot = new CredentialSlot(A);
    slot.swap(B, 1);
    expect(() => slot.swap(credential('c'), 1)).toThrow('generation 2 is in force, not 1');
    expect(() => slot.swap(credential('c'), null)).toThrow('generation 2 is in force, not none');
    expect(() => new CredentialSlot(null).swap(B, 1)).toThrow('generation none is in force, not 1');
    expect(slot.current?.credential).toEqual(B);
  });

  it('is told to whoever listens, until that ends', () => {
    const slot = new CredentialSlot(null);
    const [first, second]: [unknown[], unknown[]] = [[], []];
    const stop = slot.onChange((current) => first.push(current.generation));
    slot.onChange((current) => second.push([current, slot.current]));
    slot.swap(A);
    stop();
    slot.swap(B);
    expect(first).toEqual([1]);
    expect(second).toEqual([
      [
        { credential: A, generation: 1 },
        { credential: A, generation: 1 },
      ],
      [
        { credential: B, generation: 2 },
        { credential: B, generation: 2 },
      ],
    ]);
  });
});

describe('secrets that are redacted', () => {
  it('are those of the credentials before, too, the newest first', () => {
    const slot = new CredentialSlot(A);
    slot.swap(B);
    expect(slot.secrets).toEqual(['secret-b', 'secret-a']);
  });

  it('are bounded', () => {
    const slot = new CredentialSlot(A);
    for (let n = 1; n <= 40; n++) slot.swap(credential(`${n}`));
    expect(slot.secrets).toHaveLength(32);
    expect([slot.secrets[0], slot.secrets.at(-1)]).toEqual(['secret-40', 'secret-9']);
  });

  it('are not pushed out by two that take turns', () => {
    const slot = new CredentialSlot(credential('old'));
    for (let n = 0; n < 40; n++) slot.swap(n % 2 === 0 ? A : B);
    expect(slot.secrets).toEqual(['secret-b', 'secret-a', 'secret-old']);
  });
});
