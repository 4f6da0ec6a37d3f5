import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { OptionError } from './option-error.js';
import { type OptionValues } from './table.js';

/** The files `wss:` is served with. */
export interface TlsFiles {
  readonly certPath: string;
  readonly keyPath: string;
}

/**
 * Null: hosts connect in plaintext.
 *
 * @throws OptionError for one file without the other, files that do not belong together, and plaintext off loopback
 *   unless that was asked for.
 */
export function readTls(values: OptionValues): TlsFiles | null {
  const { tlsCert: certPath, tlsKey: keyPath, listen, insecure } = values;
  if (certPath === null && keyPath === null) {
    if (insecure || isLoopback(listen.host)) return null;
    throw new OptionError(
      `--listen ${listen.host} is not loopback: give --tls-cert and --tls-key, or --insecure to serve plaintext`,
    );
  }
  if (certPath === null) throw new OptionError('--tls-key needs --tls-cert');
  if (keyPath === null) throw new OptionError('--tls-cert needs --tls-key');
  const cert = readFileSync(certPath);
  checkTls(`--tls-cert ${certPath}`, { cert });
  checkTls(`--tls-key ${keyPath}`, { cert, key: readFileSync(keyPath) });
  return { certPath, keyPath };
}

function checkTls(name: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new OptionError(`${name}: ${(error as Error).message}`);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
