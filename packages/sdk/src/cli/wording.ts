import { OutriggerError } from '@outrigger/protocol';

/** What the SDK and agents go by in code, and what it is called on the command line. */
const FLAGS: Readonly<Record<string, string>> = {
  timeoutMs: '--timeout',
  idleTimeoutMs: '--idle-timeout',
  queueTimeoutMs: '--queue-timeout',
  holdTimeoutMs: '--hold-timeout',
  maxTurns: '--max-turns',
  allowedTools: '--allowed-tools',
  disallowedTools: '--disallowed-tools',
  permissionMode: '--permission-mode',
  onCredentialFailure: '--on-credential-failure',
  whenBusy: '--when-busy',
  executionId: '--id',
  ifGeneration: '--if-generation',
  'insecure: true': '--insecure',
};
const NAMES = new RegExp(`(\`?)(?:request\\.)?\\b(${Object.keys(FLAGS).join('|')})\\b(?:: "(\\w+)")?\\1`, 'g');

/** What is said in other words here, by code. Null: the message does as it is. */
const BY_CODE: Readonly<Record<string, (data: Readonly<Record<string, unknown>>) => string | null>> = {
  unknown_execution: ({ executionId }) =>
    typeof executionId === 'string'
      ? `no agent that was reached knows ${executionId}; its outcome may have been taken, see outrigger ps --all`
      : null,
  already_connected: () => 'another address that was given leads to the same agent',
};

/** A message for SDK users, with the flags of the command line. */
export function inFlags(text: string): string {
  return text.replace(NAMES, (_all, _tick, name: string, value?: string) =>
    [FLAGS[name], ...(value === undefined ? [] : [value])].join(' '),
  );
}

/** One line that says what went wrong, by the code that documents have an entry for. */
export function describe(error: unknown, { tokenFrom }: { tokenFrom?: string | undefined } = {}): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message.replace(/\s*\n\s*/g, ' ');
  if (!(error instanceof OutriggerError)) return message;
  const { code, data } = error;
  const said = BY_CODE[code]?.(data) ?? inFlags(message);
  const { retryAt } = data;
  return [
    said.startsWith(code) ? said : `${code}: ${said}`,
    ...(code === 'unauthorized' && tokenFrom !== undefined ? [`the token came from ${tokenFrom}`] : []),
    ...(typeof retryAt === 'number' ? [`try again at ${new Date(retryAt).toISOString()}`] : []),
  ].join('; ');
}
