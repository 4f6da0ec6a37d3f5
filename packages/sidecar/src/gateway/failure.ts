/** Why a request failed, for people: what the system or the client of the provider says. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  // Of several addresses that were tried there is no message.
  return error.message === '' && 'code' in error ? String(error.code) : error.message;
}

/**
 * What is logged of a request that failed. The fields of an error are left out but for its code: undici's parser keeps
 * the answer in one, and an answer can repeat the credential.
 */
export function loggable(error: unknown): {
  type: string;
  message: string;
  code?: unknown;
  stack?: string | undefined;
} {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an error' };
  const { name, message, stack } = error;
  return { type: name, message, stack, ...('code' in error && { code: error.code }) };
}
