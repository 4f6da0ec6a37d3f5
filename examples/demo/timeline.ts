import { type ExecutionEvent, type Outcome } from '@outrigger/sdk';
import Table from 'cli-table3';
import picocolors from 'picocolors';

// By default a CI counts as a terminal.
const colors = picocolors.createColors(process.stdout.isTTY && process.env['NO_COLOR'] === undefined);
const RUN_COLORS = [colors.cyan, colors.magenta, colors.yellow];
const TEXT_CHARS_MAX = 64;

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
    console.log(`${colors.dim(`${seconds}s`)}  ${paint(name.padEnd(width))}  ${what.padEnd(9)}  ${colors.dim(detail)}`);
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

/** The outcomes of all runs, a row each. */
export function outcomeTable(outcomes: readonly (readonly [string, Outcome])[]): string {
  const table = new Table({
    head: ['run', 'status', 'reason', 'took', 'turns', 'cost', 'exit', 'result'],
    style: { head: [], border: [], compact: true },
  });
  for (const [name, outcome] of outcomes) {
    const paint = outcome.status === 'succeeded' ? colors.green : colors.red;
    table.push([
      name,
      paint(outcome.status),
      outcome.reason,
      outcome.startedAt === undefined ? '-' : `${((outcome.endedAt - outcome.startedAt) / 1000).toFixed(1)} s`,
      outcome.turns ?? '-',
      outcome.costUsd === undefined ? '-' : `$${outcome.costUsd.toFixed(4)}`,
      outcome.exit.code ?? outcome.exit.signal ?? '-',
      shorten(outcome.result ?? outcome.message, 36),
    ]);
  }
  return table.toString();
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

function shorten(text: string, charsMax = TEXT_CHARS_MAX): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= charsMax ? line : `${line.slice(0, charsMax - 1)}…`;
}
