/** The forms a secret commonly takes in what a run prints. */

/** Shorter ones would be found in text that only looks alike. */
export const SECRET_CHARS_MIN = 8;
/** What is left of a longer one is worth nothing without its beginning. */
const SECRET_CHARS_MAX = 4096;
/** A base64 text of a secret depends on where it begins; three bytes make four characters. */
const BASE64_PHASES = [0, 1, 2] as const;

export type ToBase64 = (bytes: Uint8Array) => string;

export interface SecretForms {
  /** As tools print them within a line. */
  readonly inLine: readonly string[];
  /** Those that tools break over lines: letters, digits and `+/-_`. */
  readonly wrapped: readonly string[];
}

/** @param secrets As they are; ones that are too short are passed over. */
export function formsOf(secrets: readonly string[], toBase64: ToBase64): SecretForms {
  const forms = secrets
    .filter((secret) => secret.length >= SECRET_CHARS_MIN)
    .map((secret) => {
      // By way of bytes, as half a surrogate pair has no form in a URL.
      const bytes = new TextEncoder().encode(secret.slice(0, SECRET_CHARS_MAX));
      return { plain: new TextDecoder().decode(bytes), wrapped: [...base64Forms(bytes, toBase64), ...hexForms(bytes)] };
    });
  return {
    inLine: unique(forms.flatMap(({ plain, wrapped }) => [plain, ...wrapped].flatMap(escapedForms))),
    wrapped: unique(forms.flatMap(({ wrapped }) => wrapped)),
  };
}

function unique(forms: readonly string[]): string[] {
  return [...new Set(forms)];
}

function escapedForms(form: string): string[] {
  return [form, escapeJson(form), escapeJson(escapeJson(form)), ...urlForms(form)];
}

function escapeJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Encoders differ in the case of their digits, and in a few characters that need no escape. */
function urlForms(text: string): string[] {
  const common = encodeURIComponent(text);
  const strict = common.replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return [common, strict].flatMap((form) => [form, form.replaceAll(/%../g, (escape) => escape.toLowerCase())]);
}

/** The characters of a base64 text that depend on the secret alone, wherever in the encoded bytes it begins. */
function base64Forms(bytes: Uint8Array, toBase64: ToBase64): string[] {
  return BASE64_PHASES.flatMap((phase) => {
    const padded = new Uint8Array(phase + bytes.length);
    padded.set(bytes, phase);
    const first = Math.ceil((phase * 8) / 6);
    const last = Math.floor((padded.length * 8) / 6);
    const stable = toBase64(padded).slice(first, last);
    return [stable, stable.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function hexForms(bytes: Uint8Array): string[] {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex, hex.toUpperCase()];
}
