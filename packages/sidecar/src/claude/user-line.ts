import { createHash } from 'node:crypto';

/** By which names of messages are made into UUIDs; any UUID would do. */
const NAMESPACE = Buffer.from('8f0f5c1e6d5b4d0f9a3b1f2c7e4d6a90', 'hex');

/**
 * A line of an interactive run's stdin that says something to it.
 *
 * @param name Of what is said, another one for each line. Newer versions of the CLI take a message with the same UUID once.
 */
export function userLine(text: string, name: string): string {
  const message = { role: 'user', content: [{ type: 'text', text }] };
  return `${JSON.stringify({ type: 'user', message, uuid: uuidOf(name) })}\n`;
}

/** Version 5 of RFC 9562: a UUID that says the same name again. */
function uuidOf(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
