import { hash, randomBytes } from 'node:crypto';

const RANDOM_BYTES = 32;

/** What an execution gets in place of a credential: it opens this gateway while the execution lives, and nothing else. */
export function newPlaceholder(): string {
  return `outrigger-placeholder-${randomBytes(RANDOM_BYTES).toString('base64url')}`;
}

/** Placeholders are looked up by this, so that neither a list of them nor the time it takes gives one away. */
export function hashPlaceholder(placeholder: string): string {
  return hash('sha256', placeholder, 'base64');
}
