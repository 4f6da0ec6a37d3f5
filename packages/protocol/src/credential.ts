import { z } from 'zod';
import { LIMITS } from './limits.js';
import { epochMsSchema, idSchema } from './values.js';

/** An OAuth token of a subscription, or an API key. */
export const credentialKindSchema = z.enum(['oauth', 'api_key']);
/** An OAuth token of a subscription, or an API key. */
export type CredentialKind = z.infer<typeof credentialKindSchema>;

/** What Claude Code's requests are authorised with. The secret is carried by one frame and kept in memory only. */
export const credentialSchema = z.strictObject({
  /** The operator's name for it; told to others, so it must not give the secret away. */
  id: idSchema,
  kind: credentialKindSchema,
  /** White space around it is dropped: with a line end in it no request can be sent. */
  secret: z
    .string()
    .max(LIMITS.secretCharsMax)
    .transform((secret) => secret.trim())
    .pipe(z.string().regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters, at least one'))
    .meta({ pattern: '^\\s*[!-~]+\\s*$' }),
  expiresAt: epochMsSchema.optional(),
});
/** What Claude Code's requests are authorised with; `expiresAt` in epoch ms. */
export type Credential = z.infer<typeof credentialSchema>;

/** Why a request waits for another credential. `credential_missing`: there is none at all. */
export const HOLD_REASONS = [
  'auth_expired',
  'auth_revoked',
  'auth_invalid',
  'rate_limited',
  'billing',
  'credential_missing',
] as const;
export const holdReasonSchema = z.enum(HOLD_REASONS);
/** Why a request waits for another credential. `credential_missing`: there is none at all. */
export type HoldReason = z.infer<typeof holdReasonSchema>;

/** What to do when the provider refuses the credential of a run. */
export const credentialFailurePolicySchema = z.enum(['hold', 'resume', 'fail']);
/** What to do when the provider refuses the credential of a run: wait, end the process and resume, or end the run. */
export type CredentialFailurePolicy = z.infer<typeof credentialFailurePolicySchema>;
