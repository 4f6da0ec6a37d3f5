import { type OutcomeStatus } from '@outrigger/protocol';
import { type ConnectOptions } from '../fleet.js';
import { type AddressFlags, readAddresses } from './addresses.js';
import { EXIT_CODES, exitCodeOfError, exitCodeOfStatus } from './exit-codes.js';
import { openSession, type Session } from './session.js';
import { type Terminal } from './terminal.js';
import { describe } from './wording.js';

type Env = Readonly<Record<string, string | undefined>>;

/** Options that every command has. */
export interface GlobalFlags extends AddressFlags {
  json?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly terminal: Terminal;
  readonly env: Env;
  readonly stdin: NodeJS.Process['stdin'];
  /** Whether a program reads the output. */
  readonly isJson: boolean;
  /** Aborted when somebody wants it to stop. */
  readonly stopping: AbortSignal;
  /** Where the agents are. @throws UsageError */
  readonly addresses: () => ConnectOptions[];
  /** Reaches the agents, says which it did not reach, and ends with that unless something worse happens. */
  connect(): Promise<Session>;
  /** One JSON document on a line of its own. */
  readonly printJson: (value: unknown) => void;
  readonly exitWith: (name: keyof typeof EXIT_CODES) => void;
  readonly exitWithStatus: (status: OutcomeStatus) => void;
}

/** How a command ended. */
export interface Exit {
  code: number;
  /** Where the control token came from, once it was read. */
  tokenFrom?: string;
}

export function makeContext(
  flags: GlobalFlags,
  parts: Pick<Context, 'terminal' | 'env' | 'stdin' | 'stopping'>,
  exit: Exit,
): Context {
  const { terminal, env } = parts;
  const addresses = () => {
    const { addresses: read, tokenFrom } = readAddresses(flags, env);
    exit.tokenFrom = tokenFrom;
    return read;
  };
  return {
    ...parts,
    isJson: flags.json ?? false,
    printJson: (value) => terminal.print(JSON.stringify(value)),
    exitWith: (name) => void (exit.code = EXIT_CODES[name].code),
    exitWithStatus: (status) => void (exit.code = exitCodeOfStatus(status)),
    addresses,
    connect: async () => {
      const session = await openSession(addresses());
      for (const { address, error } of session.unreached) {
        terminal.note(`outrigger: ${address.url}: ${describe(error, exit)}`);
        exit.code = exitCodeOfError(error);
      }
      return session;
    },
  };
}
