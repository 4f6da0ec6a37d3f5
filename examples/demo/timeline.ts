import { type ExecutionEvent } from '@outrigger/sdk';
import { colors, columns, shorten } from './terminal.js';

const LANE_COLORS = [colors.blue, colors.cyan, colors.magenta, colors.yellow];
/** What a line has before its detail, names of lanes aside. */
const PREFIX_CHARS = 22;
/** Events that decide how a run goes on. */
const EMPHASIS: Readonly<Record<string, (text: string) => string>> = {
  killed: colors.red,
  started: colors.green,
  refuses: colors.red,
  held: colors.yellow,
  swapped: colors.green,
  released: colors.green,
};

/** Prints what happens to several runs as one list, a line an event. Colours only where the output is a terminal. */
export class Timeline {
  readonly #startedAt = performance.now();
  readonly #lanes: readonly string[];

  constructor(lanes: readonly string[]) {
    this.#lanes = lanes;
  }

  show(lane: string, what: string, detail = ''): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(2).padStart(6);
    const paint = LANE_COLORS[this.#lanes.indexOf(lane) % LANE_COLORS.length] ?? String;
    const width = Math.max(...this.#lanes.map((other) => other.length));
    const text = shorten(detail, columns() - width - PREFIX_CHARS);
    const label = (EMPHASIS[what] ?? String)(what.padEnd(8));
    console.log(`${colors.dim(`${seconds}s`)}  ${paint(lane.padEnd(width))}  ${label}  ${colors.dim(text)}`.trimEnd());
  }

  /** One event of a run, if it says something to a person. */
  showEvent(lane: string, event: ExecutionEvent): void {
    switch (event.type) {
      case 'message':
        describeMessage(event.message).forEach(([what, detail]) => this.show(lane, what, detail));
        break;
      case 'stderr':
        this.show(lane, 'stderr', event.line);
        break;
      case 'gap':
        this.show(lane, 'gap', `${event.end - event.start} bytes of ${event.log} are missing`);
        break;
      case 'hold':
        this.show(lane, 'held', `${event.reason}: ${event.message}`);
        break;
      case 'released':
        this.show(lane, 'released', 'the same process goes on');
        break;
      case 'state':
      case 'rate_limit':
        break;
      case 'outcome':
        this.show(lane, 'outcome', `${event.outcome.status}: ${event.outcome.reason}`);
        break;
    }
  }
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
  if (message?.['subtype'] === 'init') return [['session', String(message['model'])]];
  if (message?.['type'] !== 'assistant' && message?.['type'] !== 'user') return [];
  const { content } = (message['message'] ?? {}) as { content?: ContentBlock[] | string };
  if (!Array.isArray(content)) return [];
  return content.flatMap((block) => describeBlock(block));
}

function describeBlock(block: ContentBlock): [string, string][] {
  switch (block.type) {
    case 'text':
      return [['says', block.text ?? '']];
    case 'tool_use':
      return [['tool', `${block.name ?? ''}: ${block.input?.command ?? ''}`]];
    case 'tool_result':
      return [['result', typeof block.content === 'string' ? block.content : JSON.stringify(block.content)]];
    default:
      return [];
  }
}
