import { readFileSync } from 'node:fs';
import { type Credential } from '@outrigger/protocol';
import { z } from 'zod';
import { OptionError } from './option-error.js';
import { type Environment } from './parse.js';

const fileSchema = z.strictObject({
  id: z.string().min(1).max(128).default('standing'),
  kind: z.enum(['oauth', 'api_key']),
  secret: z.string().min(1),
});

/** The variables a standing credential is looked for in; the first one that is set counts. */
const VARIABLES = [
  ['CLAUDE_CODE_OAUTH_TOKEN', 'oauth'],
  ['ANTHROPIC_API_KEY', 'api_key'],
] as const;

/**
 * The standing credential: of a file, else of a variable, else none.
 *
 * The file holds the bare secret, or JSON `{"kind": "oauth" | "api_key", "secret": "…", "id"?: "…"}`. White space
 * around a secret is dropped: with a line end in it the CLI fails on an invalid header.
 *
 * @throws OptionError
 */
export function readCredential(
  path: string | null,
  environment: Environment,
): { credential: Credential | null; warnings: string[] } {
  if (path !== null) return { credential: fromFile(path), warnings: [] };

  const [first, ...others] = VARIABLES.filter(([name]) => (environment[name] ?? '').trim() !== '');
  if (first === undefined) return { credential: null, warnings: ['there is no credential: every dispatch is refused'] };
  const [name, kind] = first;
  return {
    credential: { id: 'standing', kind, secret: checkSecret(name, environment[name] ?? '') },
    warnings: [
      `the credential comes from ${name}, which stays readable in /proc; --credential-file is safer`,
      ...others.map(([ignored]) => `${ignored} is set as well and ignored`),
    ],
  };
}

function fromFile(path: string): Credential {
  const text = readFileSync(path, 'utf8').trim();
  const name = `--credential-file ${path}`;
  if (!text.startsWith('{')) return { id: 'standing', kind: kindOf(text), secret: checkSecret(name, text) };

  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new OptionError(`${name}: starts like JSON but is none`);
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new OptionError(`${name}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`);
  }
  return { ...parsed.data, secret: checkSecret(name, parsed.data.secret) };
}

/** Never repeats the secret. */
function checkSecret(name: string, text: string): string {
  const secret = text.trim();
  if (secret === '') throw new OptionError(`${name}: is empty`);
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new OptionError(`${name}: holds characters no header can carry`);
  return secret;
}

/** API keys of the provider say what they are; everything else is taken for an OAuth token. */
function kindOf(secret: string): Credential['kind'] {
  return secret.startsWith('sk-ant-api') ? 'api_key' : 'oauth';
}
