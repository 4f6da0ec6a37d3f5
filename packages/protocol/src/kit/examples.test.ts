import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compileSchemas } from '../../testing/compile-schemas.js';
import { decodeClientFrame, decodeSidecarFrame } from '../core/codec.js';
import { WIRE_ERRORS } from '../errors.js';
import { CLIENT_FRAME_SCHEMAS } from '../frames/client.js';
import { RESULT_SCHEMAS, SIDECAR_FRAME_SCHEMAS } from '../frames/sidecar.js';
import { schemaPath } from './schemas.js';

/*
 * One frame a file, named `side.type[.what].json`. A good reply is named after the request it answers, another one after
 * its code. An example is never changed: what a version has said is what a later one has to read.
 */

const FOLDER = fileURLToPath(new URL('../../examples/v1', import.meta.url));
const DECODERS = { client: decodeClientFrame, sidecar: decodeSidecarFrame };

interface ExampleFrame {
  readonly type: string;
  readonly ok?: boolean;
  readonly result?: unknown;
  readonly error?: { readonly code: string };
}

const examples = readdirSync(FOLDER).map((file) => {
  const [side, type, what = ''] = file.replace(/\.json$/, '').split('.') as ['client' | 'sidecar', string, string?];
  const text = readFileSync(`${FOLDER}/${file}`, 'utf8');
  return { file, side, type, what, text, frame: JSON.parse(text) as ExampleFrame };
});
const typesOf = (side: string) => new Set(examples.flatMap((each) => (each.side === side ? [each.type] : [])));
const replies = examples.filter(({ type }) => type === 'reply');

describe('the examples of version 1', () => {
  const validate = compileSchemas();

  it.each(examples)(
    '$file is read whole by the decoder, and is good by its JSON Schema',
    ({ side, type, ...example }) => {
      expect(example.frame.type).toBe(type);
      // A misspelt field of an open object would not be an error; it would be missing here.
      expect(DECODERS[side](example.text)).toEqual({ ok: true, frame: example.frame });
      expect(validate(schemaPath[side](type), example.frame)).toEqual([]);
      expect(validate(schemaPath.anyOf(side), example.frame)).toEqual([]);
    },
  );

  it.each(replies)('$file has the result its name says, or the error', ({ what, frame }) => {
    if (frame.ok !== true) {
      expect(what).toBe(`error-${frame.error?.code ?? ''}`);
      return;
    }
    const request = what.split('-')[0] as keyof typeof RESULT_SCHEMAS;
    expect(RESULT_SCHEMAS[request].parse(frame.result)).toEqual(frame.result);
    expect(validate(schemaPath.result(request), frame.result)).toEqual([]);
  });

  it('show each frame of a client, each of a sidecar, each result and each error', () => {
    expect(typesOf('client')).toEqual(new Set(Object.keys(CLIENT_FRAME_SCHEMAS)));
    expect(typesOf('sidecar')).toEqual(new Set(Object.keys(SIDECAR_FRAME_SCHEMAS)));
    const shown = replies.map(({ what }) => what);
    expect(shown).toEqual(expect.arrayContaining(Object.keys(RESULT_SCHEMAS)));
    expect(shown).toEqual(expect.arrayContaining(Object.keys(WIRE_ERRORS).map((code) => `error-${code}`)));
  });
});
