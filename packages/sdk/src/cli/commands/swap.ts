import { text as readAll } from 'node:stream/consumers';
import { type CredentialKind } from '@outrigger/protocol';
import { readFile } from '../addresses.js';
import { type Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { pickAgents } from '../session.js';

export interface SwapFlags {
  all?: boolean;
  id: string;
  kind: CredentialKind;
  file?: string;
  expiresAt?: number;
  ifGeneration?: number;
}

/** Puts another credential in force on agents. */
export async function swap(context: Context, names: readonly string[], flags: SwapFlags): Promise<void> {
  const secret = await readSecret(context, flags);
  await using session = await context.connect();
  const { id, kind, expiresAt, ifGeneration } = flags;
  const credential = { id, kind, secret, ...(expiresAt !== undefined && { expiresAt }) };
  for (const agent of pickAgents(session, names, flags.all)) {
    const generation = await agent.swapCredential(credential, ifGeneration === undefined ? {} : { ifGeneration });
    if (context.isJson) context.printJson({ agentId: agent.id, credentialId: id, generation });
    else context.terminal.print(`${agent.id}: ${id} is in force, generation ${generation}`);
  }
}

/** Never from the command line, which everybody on the machine can read. @throws UsageError */
async function readSecret({ stdin }: Context, { file }: SwapFlags): Promise<string> {
  if (file === undefined && stdin.isTTY) throw new UsageError('pipe the secret in, or name its file with --file');
  const secret = (file === undefined ? await readAll(stdin) : readFile('--file', file)).trim();
  if (secret === '') throw new UsageError('the secret is empty');
  return secret;
}
