import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import specs from '@asyncapi/specs';
import { Ajv, type AnySchema } from 'ajv';
import { describe, expect, it } from 'vitest';
import { asyncApiDocument } from './asyncapi.js';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

/** Every `$ref`, wherever it stands. */
function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => (key === '$ref' ? [String(each)] : refsIn(each)));
}

function find(document: object, ref: string): unknown {
  const parts = ref.slice('#/'.length).split('/');
  return parts.reduce((value: unknown, part) => (value as Record<string, unknown> | undefined)?.[part], document);
}

describe('the AsyncAPI document', () => {
  const document = JSON.parse(JSON.stringify(asyncApiDocument())) as Record<string, unknown>;
  // It brings the schema of schemas along.
  const ajv = new Ajv({ strict: false, validateFormats: false, validateSchema: false, meta: false });
  const validate = ajv.compile(specs.schemas['3.0.0'] as AnySchema);

  it('is what AsyncAPI 3 allows', () => {
    expect([validate(document), validate.errors]).toEqual([true, null]);
    expect(validate({ ...document, operations: { hello: { action: 'shout' } } })).toBe(false);
  });

  it('refers to what there is', () => {
    const refs = refsIn(document);
    const [inside, files] = [refs.filter((ref) => ref.startsWith('#')), refs.filter((ref) => !ref.startsWith('#'))];
    expect(files.length).toBeGreaterThan(25);
    expect(files.filter((path) => !existsSync(`${PACKAGE}/${path}`))).toEqual([]);
    expect(inside.filter((ref) => find(document, ref) === undefined)).toEqual([]);
  });

  it('is written where readers look for it', () => {
    expect(JSON.parse(readFileSync(`${PACKAGE}/asyncapi.json`, 'utf8'))).toEqual(document);
  });
});
