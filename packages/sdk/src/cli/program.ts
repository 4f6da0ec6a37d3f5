import { Command, Help, InvalidArgumentError, Option } from 'commander';
import { type Context, type Exit, type GlobalFlags, makeContext } from './context.js';
import { cancel } from './commands/cancel.js';
import { conformance } from './commands/conformance.js';
import { doctor } from './commands/doctor.js';
import { drain, type DrainFlags, resume } from './commands/drain.js';
import { logs, type LogsFlags } from './commands/logs.js';
import { ps } from './commands/ps.js';
import { run } from './commands/run.js';
import { status, type StatusFlags } from './commands/status.js';
import { swap, type SwapFlags } from './commands/swap.js';
import { top, type TopFlags } from './commands/top.js';
import { EXIT_CODES } from './exit-codes.js';
import { type RunFlags } from './run-request.js';
import { addOne, parseCount, parseDurationMs, parseList, parseMoment, parsePair } from './values.js';
import { wrap } from './wrap.js';

type Parts = Pick<Context, 'terminal' | 'env' | 'stdin' | 'stopping'>;

const EXAMPLES = [
  'outrigger run "Fix the failing test" --allowed-tools Bash,Edit',
  'outrigger ps && outrigger logs -f job-123',
  'outrigger swap --id team-b --file /run/secrets/team-b',
  'outrigger drain agent-7 --deadline 10m && ./replace agent-7',
  'OUTRIGGER_URL=wss://a:7411,wss://b:7411 outrigger top',
];

/** What follows the options. */
function epilogue(width: number): string {
  return [
    ...['', 'Examples:'],
    ...EXAMPLES.flatMap((line) => wrap(line, { width, indent: 6, lead: '  $ ' })),
    ...['', ...wrap('A time is a number with ms, s, m, h or d; a bare number is seconds.', { width, indent: 0 })],
    ...['', 'Exit codes:'],
    ...Object.values(EXIT_CODES).flatMap(({ code, means }) => wrap(means, { width, indent: 5, lead: `  ${code}  ` })),
  ].join('\n');
}

/** Narrower than this, what a thing does stands below its name. */
const BESIDE_WIDTH_MIN = 70;

/** Commander breaks no line where there is little room. */
function formatItem(this: Help, ...[term, termWidth, description, helper]: Parameters<Help['formatItem']>): string {
  const { helpWidth: width = 80 } = helper;
  if (width >= BESIDE_WIDTH_MIN) return Help.prototype.formatItem.call(helper, term, termWidth, description, helper);
  const below = description === '' ? [] : wrap(description, { width, indent: 6 });
  return [...wrap(term, { width, indent: 6, lead: '  ' }), ...below].join('\n');
}

/** The command line, as commander has it. */
export function makeProgram(parts: Parts, exit: Exit, version: string): Command {
  const helpWidth = () => Math.min(100, parts.terminal.columns);
  const program = new Command('outrigger')
    .description('Looks at agents and their runs, and tells them what to do.')
    .version(version)
    .option(
      '--url <url>',
      'agents, as URL or id=URL, may be repeated [env: OUTRIGGER_URL] (default: ws://127.0.0.1:7411)',
      value(parseList),
    )
    .option('--token-file <file>', 'file with the control token [env: OUTRIGGER_TOKEN_FILE, or OUTRIGGER_TOKEN itself]')
    .option('--ca <file>', 'certificates to trust for wss:, as PEM')
    .option('--insecure', 'allow ws: to other machines, which sends the token in the clear')
    .option('--json', 'print JSON, one object a line')
    .configureHelp({ showGlobalOptions: true, formatItem })
    .addHelpText('after', () => epilogue(helpWidth()))
    .exitOverride()
    .configureOutput({
      writeErr: (text) => parts.terminal.note(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, 'outrigger: ')),
      writeOut: (text) => parts.terminal.print(text.trimEnd()),
      getOutHelpWidth: helpWidth,
    });
  /** What a command works with. */
  const context = () => makeContext(program.opts<GlobalFlags>(), parts, exit);

  program
    .command('run')
    .description(
      'dispatch a run, print what it says, and end as it ends; ^C cancels it, once more stops waiting. ' +
        'One that is to go on without you is started with --detach',
    )
    .argument('[prompt...]', 'what it is to do; - or nothing: read from standard input')
    .option('--id <id>', 'name of the run; the same one again follows the same run (default: a random one)')
    .option('--agent <id>', 'agent to run on (default: the one with the smallest share of its slots in use)')
    .option('--cwd <dir>', 'folder to work in, on the agent')
    .option('--model <model>', 'model')
    .option('--max-turns <n>', 'turns at most', value(parseCount))
    .option('--allowed-tools <tools>', 'tools it may use without asking, with commas', value(parseList))
    .option('--disallowed-tools <tools>', 'tools it may not use, with commas', value(parseList))
    .option('--permission-mode <mode>', 'permission mode of Claude Code')
    .option('--resume <session>', 'session to go on with')
    .option('--label <name=value>', 'label, may be repeated', value(parsePair))
    .option('--env <name=value>', 'variable of its environment, may be repeated', value(parsePair))
    .option('--arg <arg>', 'further argument for Claude Code, may be repeated', value(addOne))
    .option('--timeout <time>', 'how long it may run (default: 1h)', value(parseDurationMs))
    .option('--idle-timeout <time>', 'how long it may show no sign of life (default: 10m)', value(parseDurationMs))
    .option('--queue-timeout <time>', 'how long it may wait for a slot (default: 10m)', value(parseDurationMs))
    .option('--hold-timeout <time>', 'how long it may wait for a credential (default: 15m)', value(parseDurationMs))
    .addOption(new Option('--when-busy <what>', 'where there is no slot').choices(['refuse', 'queue', 'skip']))
    .addOption(
      new Option('--on-credential-failure <what>', 'when its credential is refused').choices([
        'hold',
        'resume',
        'fail',
      ]),
    )
    .option('-d, --detach', 'print its id and leave it alone; whoever runs the same id again takes its outcome')
    .action((words: string[], flags: RunFlags) => run(context(), words, flags));

  program
    .command('ps')
    .description('list runs')
    .option('-a, --all', 'also those that have ended, and whose outcome no host has taken')
    .action((flags: { all?: boolean }) => ps(context(), flags));

  program
    .command('logs')
    .description('print what a run has said')
    .argument('<id>', 'run')
    .option('-f, --follow', 'go on until it has ended')
    .option('--raw', 'lines as Claude Code printed them')
    .option('--stderr', 'its standard error instead')
    .action((id: string, flags: LogsFlags) => logs(context(), id, flags));

  program
    .command('cancel')
    .description('end runs, and wait until their processes are gone')
    .argument('<id...>', 'runs')
    .action((ids: string[]) => cancel(context(), ids));

  program
    .command('drain')
    .description('let agents finish what they run, and start nothing new')
    .argument('[agent...]', 'agents (default: the only one)')
    .option('--all', 'every agent')
    .addOption(duration('--deadline <time>', 'how long what runs may go on').default(10 * 60_000, '10m'))
    .option('--cancel', 'cancel what still runs then (default: it goes on, and the drain has failed)')
    .option('--ttl <time>', 'end the drain by itself after this time', value(parseDurationMs))
    .action((names: string[], flags: DrainFlags) => drain(context(), names, flags));

  program
    .command('resume')
    .description('end the drains of agents')
    .argument('[agent...]', 'agents (default: the only one)')
    .option('--all', 'every agent')
    .action((names: string[], flags: { all?: boolean }) => resume(context(), names, flags));

  program
    .command('swap')
    .description(
      'put another credential in force; runs that wait for one go on. Its secret comes from standard input or a file',
    )
    .argument('[agent...]', 'agents (default: the only one)')
    .requiredOption('--id <id>', 'name of the credential')
    .addOption(new Option('--kind <kind>', 'what it is').choices(['oauth', 'api_key']).default('oauth'))
    .option('--file <file>', 'file with the secret (default: standard input)')
    .option('--expires-at <moment>', 'when it expires, as ISO 8601', value(parseMoment))
    .option('--if-generation <n>', 'only while this generation is in force', value(parseCount))
    .option('--all', 'every agent')
    .action((names: string[], flags: SwapFlags) => swap(context(), names, flags));

  program
    .command('status')
    .description('tell how agents stand')
    .option('--preflight', 'ask the provider whether their credential is good')
    .action((flags: StatusFlags) => status(context(), flags));

  program
    .command('doctor')
    .description('look for what would make agents fail, and say what to do about it')
    .action(() => doctor(context()));

  program
    .command('top')
    .description('show agents, slots, runs, holds and credentials as they change; q or ^C ends it')
    .addOption(duration('--interval <time>', 'time between two looks').default(1000, '1s'))
    .option('--once', 'look once')
    .action((flags: TopFlags) => top(context(), flags));

  program
    .command('conformance')
    .description(
      'check that a sidecar keeps to the protocol, at the cost of one short run; on one that nobody else is connected to, ' +
        'as others could take what it asks for, and one that ignores ifGeneration would be left with a made-up credential',
    )
    .option('--strict', 'fail also where something could not be checked')
    .action((flags: { strict?: boolean }) => conformance(context(), flags));

  return program;
}

function duration(flags: string, description: string): Option {
  return new Option(flags, description).argParser(value(parseDurationMs));
}

/** What commander reports in its own way when it cannot be read. */
function value<T>(parse: (text: string, before?: T) => T) {
  return (text: string, before: T | undefined): T => {
    try {
      return parse(text, before);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}
