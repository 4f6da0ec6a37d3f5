import { isatty } from 'node:tty';
import { type ExecutionEvent, type Outcome } from '@outrigger/sdk';
import Table from 'cli-table3';
import picocolors from 'picocolors';

// By default a CI counts as a terminal.
const colors = picocolors.createColors(isatty(1) && process.env['NO_COLOR'] === undefined);
const RUN_COLORS = [colors.cyan, colors.magenta, colors.yellow];
/** What a pipe gets, or a terminal that does not say how wide it is. */
const DEFAULT_COLUMNS = 120;
/** What a line has before its detail, names of runs aside. */
const TIMELINE_PREFIX_CHARS = 23;
/** Below this the table leaves out what matters least. */
const WIDE_COLUMNS = 100;
/** What the narrow and the wide table need besides the result. */
const NARROW_CHARS = 54;
const WIDE_CHARS = 72;
/** With less room than this for the result it is left out. */
const RESULT_CHARS_MIN = 8;

/** Prints what happens to several runs as one list, a line an event. Colours only where the output is a terminal. */
export class Timeline {
  readonly #startedAt = performance.now();
  readonly #names: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  show(name: string, what: string, detail = ''): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(2).padStart(6);
    const paint = RUN_COLORS[this.#names.indexOf(name) % RUN_COLORS.length] ?? String;
    const width = Math.max(...this.#names.map((other) => other.length));
    const text = shorten(detail, columns() - width - TIMELINE_PREFIX_CHARS);
    console.log(
      `${colors.dim(`${seconds}s`)}  ${paint(name.padEnd(width))}  ${what.padEnd(9)}  ${colors.dim(text)}`.trimEnd(),
    );
  }

  /** One event of a run, if it says something to a person. */
  showEvent(name: string, event: ExecutionEvent): void {
    switch (event.type) {
      case 'state':
        this.show(name, event.state);
        break;
      case 'message':
        describeMessage(event.message).forEach(([what, detail]) => this.show(name, what, detail));
        break;
      case 'stderr':
        this.show(name, 'stderr', shorten(event.line));
        break;
      case 'gap':
        this.show(name, 'gap', `${event.end - event.start} bytes of ${event.log} are missing`);
        break;
      case 'outcome':
        this.show(name, 'outcome', `${event.outcome.status}: ${event.outcome.reason}`);
        break;
    }
  }
}

/** The outcomes of all runs, a row each, as wide as the terminal allows. */
export function outcomeTable(outcomes: readonly (readonly [string, Outcome])[]): string {
  const isWide = columns() >= WIDE_COLUMNS;
  const narrow = outcomes.map(([name, outcome]) => [
    name,
    (outcome.status === 'succeeded' ? colors.green : colors.red)(outcome.status),
    outcome.reason,
    outcome.startedAt === undefined ? '-' : `${((outcome.endedAt - outcome.startedAt) / 1000).toFixed(1)} s`,
    outcome.turns ?? '-',
  ]);
  const wide = outcomes.map(([, outcome]) => [
    outcome.costUsd === undefined ? '-' : `$${outcome.costUsd.toFixed(4)}`,
    outcome.exit.code ?? outcome.exit.signal ?? '-',
  ]);
  const resultChars = columns() - (isWide ? WIDE_CHARS : NARROW_CHARS);
  const hasResult = resultChars >= RESULT_CHARS_MIN;
  const table = new Table({
    head: [
      'run',
      'status',
      'reason',
      'took',
      'turns',
      ...(isWide ? ['cost', 'exit'] : []),
      ...(hasResult ? ['result'] : []),
    ],
    style: { head: [], border: [], compact: true },
  });
  outcomes.forEach(([, outcome], i) => {
    const result = shorten(outcome.result ?? outcome.message, resultChars);
    table.push([...(narrow[i] ?? []), ...(isWide ? (wide[i] ?? []) : []), ...(hasResult ? [result] : [])]);
  });
  return table.toString();
}

function columns(): number {
  return isatty(1) ? process.stdout.columns : DEFAULT_COLUMNS;
}

interface ContentBlock {
  type?: string;
  text?: string;
  name?: string;
  input?: { command?: string; description?: string };
  content?: unknown;
}

/** What a line of Claude Code's stream says, as (what, detail) pairs. */
function describeMessage(message: Record<string, unknown> | undefined): [string, string][] {
  if (message === undefined) return [];
  if (message['type'] === 'system' && message['subtype'] === 'init') return [['session', String(message['model'])]];
  if (message['type'] !== 'assistant' && message['type'] !== 'user') return [];
  const { content } = (message['message'] ?? {}) as { content?: ContentBlock[] | string };
  if (!Array.isArray(content)) return [];
  return content.flatMap((block) => describeBlock(block));
}

function describeBlock(block: ContentBlock): [string, string][] {
  switch (block.type) {
    case 'text':
      return [['says', shorten(block.text ?? '')]];
    case 'tool_use':
      return [['tool', shorten(`${block.name ?? ''}: ${block.input?.command ?? ''}`)]];
    case 'tool_result':
      return [['result', shorten(typeof block.content === 'string' ? block.content : JSON.stringify(block.content))]];
    default:
      return [];
  }
}

/** One line of at most so many characters. */
function shorten(text: string, charsMax = DEFAULT_COLUMNS): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= charsMax ? line : `${line.slice(0, Math.max(0, charsMax - 1))}…`;
}
