import { CommanderError } from 'commander';
import { type Exit } from './context.js';
import { EXIT_CODES, exitCodeOfError } from './exit-codes.js';
import { makeProgram } from './program.js';
import { openTerminal } from './terminal.js';
import { describe } from './wording.js';
import { SDK_VERSION } from '../version.js';

const { stdin, stdout, env } = process;
const terminal = openTerminal(process, env);
const stopping = new AbortController();
const exit: Exit = { code: EXIT_CODES.ok.code };

// Whoever reads has gone, e.g. `head`: as if SIGPIPE had ended it.
stdout.on('error', () => process.exit(141));
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Once more: at once.
    if (stopping.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    stopping.abort();
  });
}

try {
  await makeProgram({ terminal, env, stdin, stopping: stopping.signal }, exit, SDK_VERSION).parseAsync();
} catch (error) {
  if (error instanceof CommanderError) exit.code = error.exitCode === 0 ? 0 : EXIT_CODES.usage.code;
  else if (stopping.signal.aborted && error === stopping.signal.reason) exit.code = 130;
  else {
    terminal.note(`outrigger: ${describe(error, exit)}`);
    exit.code = exitCodeOfError(error);
  }
}
process.exitCode = exit.code;
