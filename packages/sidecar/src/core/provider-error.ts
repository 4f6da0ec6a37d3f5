import { z } from 'zod';

const MESSAGE_CHARS_MAX = 300;

const bodySchema = z.object({ error: z.object({ type: z.string(), message: z.string().catch('') }) });

export type ProviderError = z.infer<typeof bodySchema>['error'];

/** The error in a refusal's body; null when it is not in the provider's shape, such as a page of a proxy on the way. */
export function readError(body: string | null): ProviderError | null {
  if (body === null) return null;
  try {
    return bodySchema.parse(JSON.parse(body)).error;
  } catch {
    return null;
  }
}

/**
 * Its message, fit to be shown: in one line of at most 300 characters, without what a terminal would obey and without
 * half a character where it is cut. Empty if it has none.
 */
export function messageOf(error: ProviderError | null): string {
  const line = error?.message.slice(0, MESSAGE_CHARS_MAX).replace(/\p{Cc}+/gu, ' ') ?? '';
  return line.replace(/\p{Cs}/gu, '').trim();
}
