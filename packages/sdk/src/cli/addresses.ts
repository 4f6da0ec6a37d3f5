import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectOptions } from '../fleet.js';
import { UsageError } from './exit-codes.js';

/** Where agents are, as the command line says. */
export interface AddressFlags {
  url?: string[];
  tokenFile?: string;
  ca?: string;
  insecure?: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

const URL_DEFAULT = 'ws://127.0.0.1:7411';

/** How to reach each agent, and where the token for it was found. @throws UsageError */
export function readAddresses(flags: AddressFlags, env: Env): { addresses: ConnectOptions[]; tokenFrom: string } {
  const listed = flags.url ?? (env['OUTRIGGER_URL'] ?? URL_DEFAULT).split(',').filter((url) => url !== '');
  if (listed.length === 0) throw new UsageError('OUTRIGGER_URL: names no agent; write e.g. ws://127.0.0.1:7411');
  const { token, from: tokenFrom } = readToken(flags, env);
  const ca = flags.ca === undefined ? {} : { ca: readFile('--ca', flags.ca) };
  const addresses = listed.map((each) => {
    const [, id, url = each] = /^([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)$/.exec(each) ?? [];
    return { url, token, insecure: flags.insecure ?? false, ...ca, ...(id !== undefined && { id }) };
  });
  return { addresses, tokenFrom };
}

/** From where it was said to be, or where a sidecar on this machine has put one of its own. @throws UsageError */
function readToken({ tokenFile }: AddressFlags, env: Env): { token: string; from: string } {
  const file = tokenFile ?? env['OUTRIGGER_TOKEN_FILE'];
  const option = tokenFile === undefined ? 'OUTRIGGER_TOKEN_FILE' : '--token-file';
  if (file !== undefined) return { token: readFile(option, file).trim(), from: `${option}, ${file}` };
  const token = env['OUTRIGGER_TOKEN'];
  if (token !== undefined && token !== '') return { token, from: 'OUTRIGGER_TOKEN' };
  const own = join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'outrigger', 'token');
  try {
    return { token: readFileSync(own, 'utf8').trim(), from: own };
  } catch {
    throw new UsageError(`there is no control token: set OUTRIGGER_TOKEN, give --token-file, or have one in ${own}`);
  }
}

/** @throws UsageError */
export function readFile(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
