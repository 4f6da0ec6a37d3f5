import { text as readAll } from 'node:stream/consumers';
import { type CredentialFailurePolicy, type DispatchRequest } from '@outrigger/protocol';
import { UsageError } from './exit-codes.js';

/** Options of `outrigger run`, as commander hands them over; durations in milliseconds. */
export interface RunFlags {
  id?: string;
  agent?: string;
  cwd?: string;
  model?: string;
  maxTurns?: number;
  allowedTools?: string[];
  disallowedTools?: string[];
  permissionMode?: string;
  resume?: string;
  label?: Record<string, string>;
  env?: Record<string, string>;
  arg?: string[];
  timeout?: number;
  idleTimeout?: number;
  queueTimeout?: number;
  holdTimeout?: number;
  whenBusy?: 'refuse' | 'queue' | 'skip';
  onCredentialFailure?: CredentialFailurePolicy;
  detach?: boolean;
}

export function requestOf(prompt: string, flags: RunFlags): DispatchRequest {
  const { cwd, model, maxTurns, allowedTools, disallowedTools, permissionMode, resume } = flags;
  const given = {
    ...{ cwd, model, maxTurns, allowedTools, disallowedTools, permissionMode, resume },
    ...{ labels: flags.label, env: flags.env, args: flags.arg },
    ...{ timeoutMs: flags.timeout, idleTimeoutMs: flags.idleTimeout, queueTimeoutMs: flags.queueTimeout },
    ...{ holdTimeoutMs: flags.holdTimeout, whenBusy: flags.whenBusy, onCredentialFailure: flags.onCredentialFailure },
  };
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { prompt, ...present };
}

/** From the command line, or else from standard input. @throws UsageError */
export async function readPrompt(words: readonly string[], stdin: NodeJS.Process['stdin']): Promise<string> {
  const isPiped = words.length === 0 || (words.length === 1 && words[0] === '-');
  if (isPiped && stdin.isTTY) throw new UsageError('what is it to do? give a prompt, or pipe one in');
  const prompt = isPiped ? await readAll(stdin) : words.join(' ');
  if (prompt.trim() === '') throw new UsageError('the prompt is empty');
  return prompt;
}
