import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLIENT_FRAMES, SIDECAR_FRAMES } from '../frames/arbitrary-frames.js';
import { kitFiles } from './kit.js';
import { schemaPath } from './schemas.js';
import { compileSchemas } from '../../testing/compile-schemas.js';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

describe('what is generated from the schemas in the code', () => {
  const generated = kitFiles();

  it.each(Object.keys(generated))('%s is what `npm run schema` writes', (path) => {
    expect(readFileSync(`${PACKAGE}/${path}`, 'utf8')).toBe(generated[path]);
  });

  it('is all there is: a frame that went away has no schema left', () => {
    const files = readdirSync(`${PACKAGE}/schema`, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(PACKAGE.length).replace(/^\//, ''));
    expect(files.toSorted()).toEqual(
      Object.keys(generated)
        .filter((path) => path.startsWith('schema/'))
        .toSorted(),
    );
  });
});

describe('a JSON Schema', () => {
  const validate = compileSchemas();

  it.each(Object.entries(CLIENT_FRAMES))('takes every %s the code takes, and no unknown field', (type, frames) => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(validate(schemaPath.client(type), frame)).toEqual([]);
        expect(validate(schemaPath.anyOf('client'), frame)).toEqual([]);
        expect(validate(schemaPath.client(type), { ...frame, unheardOf: 1 })).not.toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it.each(Object.entries(SIDECAR_FRAMES))('takes every %s the code takes, with unknown fields too', (type, frames) => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(validate(schemaPath.sidecar(type), { ...frame, unheardOf: 1 })).toEqual([]);
        expect(validate(schemaPath.anyOf('sidecar'), frame)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  const dispatch = (fields: object) => ({
    type: 'dispatch',
    id: '1',
    executionId: 'e',
    request: { prompt: 'x', ...fields },
  });
  const uuid = '6f2b8c1e-9d0a-4b8e-8f63-0d6a5f1c2e3b';
  const numbered = Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`A${n}`, 'x']));

  it.each<[string, object]>([
    ['a relative working directory', { cwd: 'src' }],
    ['a NUL in an argument', { args: ['a\u0000b'] }],
    ['a session to name and one to resume', { sessionId: uuid, resume: uuid }],
    ['more labels than the limit', { labels: numbered }],
    ['more variables than the limit', { env: numbered }],
    ['a name no variable can have', { env: { '1A': 'x' } }],
    ['settings that are no object', { settings: 'x' }],
  ])('refuses a dispatch with %s, which the code checks in a refinement', (_what, fields) => {
    expect(validate(schemaPath.client('dispatch'), dispatch({}))).toEqual([]);
    expect(validate(schemaPath.client('dispatch'), dispatch(fields))).not.toEqual([]);
  });

  it('refuses a secret that is not visible ASCII, white space around it aside', () => {
    const swap = (secret: string) => ({
      type: 'swap_credential',
      id: '1',
      credential: { id: 'a', kind: 'oauth', secret },
    });
    expect(validate(schemaPath.client('swap_credential'), swap(' sk-1\n'))).toEqual([]);
    for (const secret of ['', ' ', 'a b', 'ä']) {
      expect(validate(schemaPath.client('swap_credential'), swap(secret))).not.toEqual([]);
    }
  });

  it('refuses an outcome whose reason belongs to another status', () => {
    const verdict = { status: 'failed', reason: 'crashed' };
    const frame = (change: object) => ({
      type: 'outcome',
      outcome: {
        ...{ executionId: 'e', message: 'm', retryable: true, exit: { code: 1, signal: null }, survivors: 0 },
        ...{ attempts: 1, acceptedAt: 1, endedAt: 2, closedAt: 3, heldMs: 0, ...verdict, ...change },
      },
      end: { attempt: 1, stdout: 0, stderr: 0 },
    });
    expect(validate(schemaPath.sidecar('outcome'), frame({}))).toEqual([]);
    expect(validate(schemaPath.sidecar('outcome'), frame({ status: 'succeeded' }))).not.toEqual([]);
  });
});
