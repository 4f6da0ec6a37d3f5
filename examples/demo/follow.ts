import { type Agent, type DispatchRequest, type ExecutionEvent, type Outcome } from '@outrigger/sdk';
import { outcomeTable } from './table.js';
import { type Timeline } from './timeline.js';

export interface RunRequest {
  readonly name: string;
  readonly request: DispatchRequest;
}

/** How a run ended, and which kinds of events it had. */
export interface Ended {
  readonly name: string;
  readonly outcome: Outcome;
  readonly events: ReadonlySet<ExecutionEvent['type']>;
  /** What it printed, line by line, as the host got it. */
  readonly lines: readonly string[];
}

/** Dispatches all runs at once, shows what they do, and how they ended. */
export async function followAll(
  timeline: Timeline,
  agent: Agent,
  runs: readonly RunRequest[],
  onEvent: (event: ExecutionEvent) => void = () => undefined,
): Promise<Ended[]> {
  const ended = await Promise.all(
    runs.map(async ({ name, request }): Promise<Ended> => {
      timeline.show(name, 'dispatch', request.prompt);
      const execution = await agent.dispatch(request);
      const events = new Set<ExecutionEvent['type']>();
      const lines: string[] = [];
      for await (const event of execution) {
        events.add(event.type);
        if (event.type === 'message') lines.push(event.line);
        onEvent(event);
        timeline.showEvent(name, event);
      }
      return { name, outcome: await execution.outcome, events, lines };
    }),
  );
  console.log(`\n${outcomeTable(ended)}`);
  return ended;
}
