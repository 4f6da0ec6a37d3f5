import { accessSync, constants, statSync } from 'node:fs';
import { z } from 'zod';
import { isCredentialVariable } from '../claude/environment.js';

/** What the text of an option can be. A message says what the text must be, and never repeats it. */

export const pathSchema = z.string().min(1, 'must not be empty');

/** Not read here: what a shell puts in place of `<(…)` can be read only once. */
export const readableFileSchema = pathSchema.superRefine((path, context) => {
  try {
    accessSync(path, constants.R_OK);
    if (statSync(path).isDirectory()) context.addIssue({ code: 'custom', message: 'is a folder' });
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    context.addIssue({ code: 'custom', message: `cannot be read (${code})` });
  }
});

export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

export const listenSchema = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must be HOST:PORT, e.g. 127.0.0.1:7411')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'must have a port of at most 65535');

/** What else a URL can have would not be sent on, so it is not taken either. */
export const upstreamSchema = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .regex(/^[^?#@]*$/, 'must have neither a user, a query nor a fragment')
  .transform((url) => url.replace(/\/+$/, ''));

export const variableSchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must name an environment variable')
  .refine((name) => !isCredentialVariable(name), 'must not name a credential variable');

export const switchSchema = z
  .enum(['1', 'true', '0', 'false', ''], { error: 'must be 1 or 0' })
  .transform((text) => text === '1' || text === 'true');
