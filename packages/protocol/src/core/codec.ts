import { type z } from 'zod';
import { WireError } from '../errors.js';
import { CLIENT_FRAME_SCHEMAS, type ClientFrame } from '../frames/client.js';
import { SIDECAR_FRAME_SCHEMAS, type SidecarFrame } from '../frames/sidecar.js';
import { LIMITS } from '../limits.js';
import { idSchema } from '../values.js';

/** A message that is not a frame. */
export interface DecodeFailure {
  ok: false;
  /** The request to answer with the error; without one nobody can be answered and the connection is to be closed. */
  id?: string;
  error: WireError;
}

/** A frame, or why a text is none. */
export type Decoded<F> = { ok: true; frame: F } | DecodeFailure;

/** Decodes a text message of a client. Never throws. */
export function decodeClientFrame(text: string): Decoded<ClientFrame> {
  if (nestsDeeperThan(text, LIMITS.nestingDepthMax)) {
    return { ok: false, error: new WireError('invalid', `nested deeper than ${LIMITS.nestingDepthMax} levels`) };
  }
  return decode<ClientFrame>(text, CLIENT_FRAME_SCHEMAS);
}

/** Decodes a text message of a sidecar. Never throws. A frame of a newer sidecar is `unknown_type`: ignore it. */
export function decodeSidecarFrame(text: string): Decoded<SidecarFrame> {
  return decode<SidecarFrame>(text, SIDECAR_FRAME_SCHEMAS);
}

/** The text of a frame. */
export function encodeFrame(frame: ClientFrame | SidecarFrame): string {
  return JSON.stringify(frame);
}

/**
 * Whether arrays and objects are nested deeper than `depthMax`, told from the text alone: validating and writing a
 * value recurse, so one that is nested a million levels deep must not get that far.
 */
export function nestsDeeperThan(json: string, depthMax: number): boolean {
  let depth = 0;
  let isInString = false;
  let isEscaped = false;
  for (const char of json) {
    if (isEscaped) isEscaped = false;
    else if (isInString) {
      if (char === '\\') isEscaped = true;
      else if (char === '"') isInString = false;
    } else if (char === '"') isInString = true;
    else if (char === '{' || char === '[') {
      if (++depth > depthMax) return true;
    } else if (char === '}' || char === ']') depth--;
  }
  return false;
}

function decode<F>(text: string, schemas: Readonly<Record<string, z.ZodType>>): Decoded<F> {
  const value = parseObject(text);
  if (value === null) return { ok: false, error: new WireError('invalid', 'not a JSON object') };

  const id = idSchema.safeParse(value['id']);
  const failure = (error: WireError): DecodeFailure =>
    id.success ? { ok: false, id: id.data, error } : { ok: false, error };

  const type = value['type'];
  const schema = typeof type === 'string' && Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (schema === undefined) {
    const name = typeof type === 'string' ? `"${type.slice(0, 80)}"` : '(no string)';
    return failure(new WireError('unknown_type', `unknown frame type ${name}`));
  }

  const parsed = schema.safeParse(value);
  if (!parsed.success) return failure(invalidFields(type as string, parsed.error));
  return { ok: true, frame: parsed.data as F };
}

function parseObject(text: string): Record<string, unknown> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // No JSON is no object either.
  }
  return typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown> | null) : null;
}

/**
 * One line a person can act on, and the issues as data. Never repeats a value, which may be a secret. It does repeat
 * names of fields, so it is bounded: else a request of the largest size had an answer too large to be sent.
 */
function invalidFields(type: string, error: z.ZodError): WireError {
  const issues = error.issues
    .slice(0, LIMITS.errorIssuesMax)
    .map((issue) => ({ path: cut(issue.path.join('.')), message: cut(issue.message) }));
  const lines = issues.map((issue) => (issue.path === '' ? issue.message : `${issue.path}: ${issue.message}`));
  return new WireError('invalid', `${type}: ${lines.join('; ')}`, { issues });
}

function cut(text: string): string {
  return text.slice(0, LIMITS.errorIssueCharsMax);
}
