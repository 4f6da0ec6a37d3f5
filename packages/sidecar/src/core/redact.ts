/**
 * Replaces secrets by value in text that leaves the sidecar, in every form they commonly take. Working on whole
 * stretches of a log between line ends, it cannot be fooled by a secret that was split across two writes.
 */

/** What stands where a secret was. */
export const REDACTED = '[redacted]';

/** Shorter ones would be found in text that only looks alike. */
const SECRET_CHARS_MIN = 8;
/** A base64 text of a secret depends on where it begins; three bytes make four characters. */
const BASE64_PHASES = [0, 1, 2] as const;

export interface Redactor {
  redact(text: string): string;
}

/** @param secrets As they are; ones that are too short are passed over. */
export function createRedactor(secrets: readonly string[], toBase64: (bytes: Uint8Array) => string): Redactor {
  const forms = secrets
    .filter((secret) => secret.length >= SECRET_CHARS_MIN)
    .flatMap((secret) => [
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
      ...base64Forms(secret, toBase64),
    ]);
  if (forms.length === 0) return { redact: (text) => text };
  const pattern = new RegExp(
    [...new Set(forms)]
      .sort((a, b) => b.length - a.length)
      .map((form) => escapeRegExp(form))
      .join('|'),
    'g',
  );
  return { redact: (text) => text.replace(pattern, REDACTED) };
}

/** The characters of a base64 text that depend on the secret alone, wherever in the encoded bytes it begins. */
function base64Forms(secret: string, toBase64: (bytes: Uint8Array) => string): string[] {
  const bytes = new TextEncoder().encode(secret);
  return BASE64_PHASES.flatMap((phase) => {
    const padded = new Uint8Array(phase + bytes.length);
    padded.set(bytes, phase);
    const text = toBase64(padded).replace(/=+$/, '');
    const first = Math.ceil((phase * 8) / 6);
    const last = Math.floor((padded.length * 8) / 6);
    const stable = text.slice(first, last);
    return [stable, stable.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
