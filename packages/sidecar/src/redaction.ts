import { createRedactor, type Redactor } from './core/redact.js';

/** The redactor for the secrets there are now. They can change while output is read, as control tokens are rotated. */
export type CurrentRedactor = () => Redactor;

/** @param readSecrets Asked often; the redactor is made anew only when the answer is another one. */
export function currentRedactor(readSecrets: () => readonly string[]): CurrentRedactor {
  let known: readonly string[] = [];
  let redactor = redactorOf(known);
  return () => {
    const secrets = readSecrets();
    if (secrets.length !== known.length || secrets.some((secret, index) => secret !== known[index])) {
      known = secrets;
      redactor = redactorOf(known);
    }
    return redactor;
  };
}

function redactorOf(secrets: readonly string[]): Redactor {
  return createRedactor(secrets, (bytes) => Buffer.from(bytes).toString('base64'));
}
